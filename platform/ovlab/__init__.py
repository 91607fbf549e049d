import time

# By it, `ovlab bench evaluation` tells the imports of an actor from what Ray adds.
IMPORT_BEGAN = time.perf_counter()
