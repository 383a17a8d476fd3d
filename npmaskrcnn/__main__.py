"""``python -m npmaskrcnn`` is the command ``npmaskrcnn``."""

from .cli import main

if __name__ == "__main__":
    main()
