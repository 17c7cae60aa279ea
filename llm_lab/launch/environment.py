"""What Lightning asks about the ranks; it never starts any."""

from __future__ import annotations

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment

from llm_lab.errors import RunError
from llm_lab.launch.place import Place


class Placed(ClusterEnvironment):
    """The ranks as they are, whoever started them.

    Args:
        place: which rank this process is.
    """

    def __init__(self, *, place: Place) -> None:
        self.place = place

    @property
    def creates_processes_externally(self) -> bool:
        """Always: this process is one of the ranks."""
        return True

    @property
    def main_address(self) -> str:
        """Host of rank 0."""
        return self.place.address

    @property
    def main_port(self) -> int:
        """Port at which the ranks met."""
        return self.place.port

    @staticmethod
    def detect() -> bool:
        """Never by itself; it is given to the Trainer."""
        return False

    def world_size(self) -> int:
        """Number of ranks."""
        return self.place.world_size

    def set_world_size(self, size: int) -> None:
        """Lightning's count must be ours.

        Raises:
            RunError: it is another.
        """
        if size != self.place.world_size:
            raise RunError(f"the Trainer counts {size} ranks, but {self.place.world_size} were started")

    def global_rank(self) -> int:
        """Number of this rank."""
        return self.place.rank

    def set_global_rank(self, rank: int) -> None:
        """Nothing to set: Lightning computes the same."""

    def local_rank(self) -> int:
        """Number among the ranks of this node."""
        return self.place.local_rank

    def node_rank(self) -> int:
        """Number of this node."""
        return self.place.node_rank
