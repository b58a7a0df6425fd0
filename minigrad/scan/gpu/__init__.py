"""A plan on a GPU: the loop of a half as one kernel that stays for all steps, or as launches for each stage of a step."""
