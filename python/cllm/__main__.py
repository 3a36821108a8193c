"""python -m cllm."""

from cllm.cli import main

if __name__ == "__main__":
    main()
