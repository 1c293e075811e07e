"""Operators: thin shells from hook through library layers to a small XCom."""
