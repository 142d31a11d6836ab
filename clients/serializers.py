"""What the API of clients accepts and shows."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

SECRET: dict[str, Any] = {
    "required": False,
    "allow_blank": True,
    "max_length": 4096,
    "write_only": True,
    "trim_whitespace": True,
}


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer whose texts must be JSON strings: a number or a list where a word belongs is refused."""

    def to_internal_value(self, data: Any) -> Any:
        wrong = {
            name: ["Must be a text."]
            for name, field in self.fields.items()
            if isinstance(field, serializers.CharField)
            and isinstance(data, dict)
            and data.get(name) is not None
            and not isinstance(data[name], str)
        }
        if wrong:
            raise serializers.ValidationError(wrong)
        return super().to_internal_value(data)


@extend_schema_field({"type": "object", "additionalProperties": True})
class JSONObjectField(serializers.Field):
    """A JSON object, taken as it stands: its numbers are Decimals already."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Must be a JSON object.")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class WalletInput(StrictSerializer):
    chain = serializers.CharField(max_length=32)
    address = serializers.CharField(max_length=128)


class ConnectorChange(StrictSerializer):
    name = serializers.CharField(max_length=64, required=False)
    label = serializers.CharField(max_length=64, required=False, allow_blank=True)
    api_key = serializers.CharField(**SECRET)
    api_secret = serializers.CharField(**SECRET)
    memo = serializers.CharField(**SECRET)
    passphrase = serializers.CharField(**SECRET)


class ConnectorInput(ConnectorChange):
    name = serializers.CharField(max_length=64)


class ClientChange(StrictSerializer):
    name = serializers.CharField(max_length=200, required=False)
    account_identifier = serializers.CharField(max_length=200, required=False)
    email = serializers.EmailField(max_length=254, required=False, allow_blank=True)
    tier = serializers.CharField(max_length=50, required=False, allow_blank=True)
    management_mode = serializers.CharField(max_length=50, required=False, allow_blank=True)
    status = serializers.ChoiceField(choices=["active", "suspended"], required=False)
    settings = JSONObjectField(required=False)


class ClientInput(ClientChange):
    name = serializers.CharField(max_length=200)
    account_identifier = serializers.CharField(max_length=200, required=False, allow_blank=True, allow_null=True)
    wallets = WalletInput(many=True, required=False)
    connectors = ConnectorInput(many=True, required=False)


class WalletShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    chain = serializers.CharField()
    address = serializers.CharField()
    created_at = serializers.DateTimeField()


class ConnectorShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    label = serializers.CharField()
    has_credentials = serializers.BooleanField()
    key_hint = serializers.CharField(help_text="abcd…wxyz, or … for a key shorter than 16 characters.")
    created_at = serializers.DateTimeField()


class ClientShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    client_id = serializers.UUIDField()
    name = serializers.CharField()
    account_identifier = serializers.CharField()
    email = serializers.CharField()
    status = serializers.CharField()
    role = serializers.CharField(help_text="Always client.")
    tier = serializers.CharField()
    settings = serializers.JSONField()
    management_mode = serializers.CharField()
    wallet_address = serializers.CharField(allow_null=True, help_text="Of the first wallet.")
    wallet_type = serializers.CharField(allow_null=True)
    wallets = WalletShown(many=True)
    connectors = ConnectorShown(many=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class PaginationShown(serializers.Serializer[Any]):
    total = serializers.IntegerField()
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()
    hasMore = serializers.BooleanField()


class ClientsShown(serializers.Serializer[Any]):
    clients = ClientShown(many=True)
    total = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    pagination = PaginationShown(required=False)


class ConnectorOfWallet(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class ClientOfWallet(serializers.Serializer[Any]):
    client_id = serializers.UUIDField()
    account_identifier = serializers.CharField()
    name = serializers.CharField()
    role = serializers.CharField()
    management_mode = serializers.CharField()
    wallets = WalletShown(many=True)
    connectors = ConnectorOfWallet(many=True)


class DeletedShown(serializers.Serializer[Any]):
    status = serializers.CharField(help_text="deleted, or deleting.")
    client_id = serializers.UUIDField()


class ErrorShown(serializers.Serializer[Any]):
    detail = serializers.CharField()
    code = serializers.CharField()
    errors = serializers.DictField(child=serializers.ListField(child=serializers.CharField()), required=False)
