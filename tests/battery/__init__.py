"""The battery: every fault and every risk that the project promises to survive, one test each."""
