from tests.robustness.operators.table import Operator

OPERATORS: tuple[Operator, ...] = ()
