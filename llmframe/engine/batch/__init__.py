"""The provider's batch mode: requests go as files, answers come back within 24 hours."""
