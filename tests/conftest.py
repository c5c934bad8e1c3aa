import os

# Before torch is imported: the tests run side by side, and threads that wait for each other cost more than they give.
os.environ.setdefault("OMP_NUM_THREADS", "1")
