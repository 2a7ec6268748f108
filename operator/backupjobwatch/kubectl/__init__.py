"""``kubectl bjw``, the plugin for kubectl. It uses the permissions of the user. The operator never imports it."""
