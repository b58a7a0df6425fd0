"""From equations to graphs: trace a function of symbols, differentiate the graph, cut it into stages."""

from .derive import derive
from .stage import Region, Stage, stages
from .trace import Graph, trace

__all__ = ["Graph", "Region", "Stage", "derive", "stages", "trace"]
