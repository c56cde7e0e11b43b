"""`hub` whose leases end after seconds, so that a test need not wait for minutes; all else is as it is."""

import hub.backlog
import hub.channels
import hub.delivery

hub.channels.LEASE_SECONDS = 4.0
hub.channels.LOOK_SECONDS = 0.4
hub.delivery.SEND_SECONDS = 6  # longer than the insurer's timeout in these tests
hub.delivery.LEASE_SECONDS = 8
hub.backlog.SWEEP_SECONDS = 1.5

if __name__ == "__main__":
    from hub.cli import main

    main()
