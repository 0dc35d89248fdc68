from core import deprecation

deprecation.install()
