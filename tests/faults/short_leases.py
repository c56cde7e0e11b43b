"""`hub` whose delivery leases end after seconds, for the loop on PostgreSQL; nothing else differs."""

import hub.delivery

hub.delivery.SEND_SECONDS = 6  # longer than the insurer's timeout in the loop
hub.delivery.LEASE_SECONDS = 8

if __name__ == "__main__":
    from hub.cli import main

    main()
