"""The policy: a vision-language backbone, a flow-matching action expert, adapters per hand space and embodiment."""
