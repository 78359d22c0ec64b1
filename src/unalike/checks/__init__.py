"""Has claims measured: opens their data, carries their trials out, keeps rows and probes, compares systems."""
