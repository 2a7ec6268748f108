"""The status of a watch and what follows from it: verdict, conditions, transitions, notifications."""
