"""`mlops verify IMAGE`: is it the model that was judged, unchanged, and who says so."""
