"""How fast a layer is on this machine, beside others that compute the same.

Every contender has a process of its own and runs only in its turn, as threads that wait for work by spinning would slow down
whoever runs next. Turns go round, so that a machine that grows slower does so for all. Weights and input are written anew
before every timed step, as an optimiser and a data loader do, so nothing can be kept from one step to the next. Nothing is
timed before its output and all its gradients have been compared with those of the operation-by-operation layer in float64.
"""
