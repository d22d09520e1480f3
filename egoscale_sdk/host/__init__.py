"""The plugin host: finds the plugin that owns a namespace and collects what it contributes."""
