"""The shell toward Azure Resource Manager: requests, tokens, answers."""
