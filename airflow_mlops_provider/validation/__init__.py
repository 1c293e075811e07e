"""Great Expectations: building suites, running them, and the checks that come before."""
