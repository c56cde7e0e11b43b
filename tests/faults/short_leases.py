"""`hub` that takes up after a dead process within seconds, for the loop on PostgreSQL."""

import hub.backlog
import hub.delivery

hub.delivery.SEND_SECONDS = 6  # longer than the insurer's timeout in the loop
hub.delivery.LEASE_SECONDS = 8
hub.backlog.SWEEP_SECONDS = 1.5

if __name__ == "__main__":
    from hub.cli import main

    main()
