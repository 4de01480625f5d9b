"""The verb that writes a first mlops.yaml."""
