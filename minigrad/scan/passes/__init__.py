"""From one step's graph to the plan of its time loop, a pass a file: cut, flow, divide, level, merge, save, regions; plan."""
