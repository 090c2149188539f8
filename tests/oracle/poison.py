"""The one exception of this folder that stands for a dead letter."""


class Poison(Exception):
    """`reason` is one of malformed unknown_schema unexpected_schema invalid_field invalid_tenant
    invalid_recipient misrouted; `text` says more, freely."""

    def __init__(self, reason, text=""):
        super().__init__(reason, text)
        self.reason = reason
        self.text = text
