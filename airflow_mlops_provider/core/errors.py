"""What the pure and library layers raise; says nothing of Airflow, whose counterparts are in ``exceptions``.

::

    MLOpsError
    ├── InputError (ValueError)   what was passed is wrong; the same call fails again
    │   └── NoDataError           there is nothing to read, or not yet
    │       └── NoLabelError      there are labels, of other rows
    ├── DataChangedError          the data moved while it was read; a later call may succeed
    │   └── UnfinishedDataError   the data is still being written, or its writer was killed and not retried
    └── OutageError               a service did not answer; a later call may succeed
"""


class MLOpsError(Exception):
    """Root of the errors this package raises on purpose."""


class InputError(MLOpsError, ValueError):
    """Data, a model or a setting is wrong, so trying again with the same input fails again."""


class NoDataError(InputError):
    """There are no rows; only who waits for data has a reason to look again."""


class NoLabelError(NoDataError):
    """No label belongs to any of the rows: the keys are wrong, or, for who waits for labels, they are not there yet."""


class DataChangedError(MLOpsError):
    """The data changed between two looks at it, so what was read must not be used; trying again may help."""


class UnfinishedDataError(DataChangedError):
    """A part of the data has been begun and is not whole, so none of it must be used; the message names the part."""


class OutageError(MLOpsError):
    """A service did not answer as it should; the message says what state it was left in."""
