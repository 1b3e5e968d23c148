"""`python -m delivery doctor`: checks of a stack, before its deployment and after."""
