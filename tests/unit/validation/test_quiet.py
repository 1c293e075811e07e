from __future__ import annotations

import logging
import warnings

from airflow_mlops_provider.validation.quiet import quiet_gx


def test_nothing_of_great_expectations_reaches_the_log_inside_and_all_does_afterwards(caplog) -> None:
    logger = logging.getLogger("great_expectations.anything")
    with caplog.at_level(logging.INFO), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet_gx():
            logger.error("inside")
            warnings.warn("inside", stacklevel=1)
        logger.error("outside")
        warnings.warn("outside", stacklevel=1)
    assert [record.message for record in caplog.records] == ["outside"]
    assert [str(one.message) for one in caught] == ["outside"]
