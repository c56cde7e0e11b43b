"""For adapter authors: simulators, faults and invented persons.

The contract every adapter must pass is `hub.testing.contract.AdapterContract`; it needs pytest and is
therefore imported from there.
"""

from hub.testing.faults import Fault, Faults
from hub.testing.http import HttpSimulator
from hub.testing.people import PEOPLE, Person
from hub.testing.simulator import Simulator, running

__all__ = ["PEOPLE", "Fault", "Faults", "HttpSimulator", "Person", "Simulator", "running"]
