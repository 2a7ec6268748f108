"""Access to Azure Resource Manager: requests, tokens and responses."""
