"""The verb that compares: finds two runs, asks the gate, keeps and tells the Result."""
