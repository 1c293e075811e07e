"""HTML reports and figures, made from results that are already decided."""
