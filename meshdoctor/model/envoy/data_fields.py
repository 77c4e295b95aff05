"""Where names in Envoy's JSON are data and not names of fields: they are the same in every spelling.

All fields of the Envoy API v1.40 (envoy.*, xds.*, udpa.*) that are a google.protobuf.Struct or a map, under one of the
names that stand for nothing else anywhere in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DATA = """
    attachment_template aws base content_types context_extensions default_subset dynamic_parameters fallback_subset
    filter_context filter_metadata initial_resource_versions json_format key_values labels mapped_request_attributes
    mapped_response_attributes params renamed_resources renamed_services request_extraction_by_field
    response_extraction_by_field service_class_names static_layer transport_socket_match_criteria typed_json_format
    typed_metadata
"""
DATA = frozenset(_DATA.split())
"""Fields of type google.protobuf.Struct or map<string, scalar>: everything below is data."""

_MAPS = """
    allowed_capabilities args certificate_provider_instances cluster_min_healthy_percentages extraction_by_method
    extractions_by_method field_restrictions map message_restrictions method_configs method_restrictions
    named_endpoints named_filter_chains params_match per_filter_config policies providers request_field_extractions
    request_field_restrictions requirement_map response_field_restrictions route_action_overrides secret_configs
    source_codes tenant_configs typed_extension_protocol_options typed_filter_metadata typed_per_filter_config
"""
MAPS = frozenset(_MAPS.split())
"""Fields of type map<string, message>: the keys are data, the values are messages."""

# Envoy prints an Any of these with their JSON as the data in `value`.
_VALUE_TYPES = ("google.protobuf.Struct", "google.protobuf.Value", ".v3.TypedStruct", ".v1.TypedStruct")
# Messages whose `metadata` is a Struct; elsewhere it is a message (core.v3.Metadata, a tracing tag's kind, ...).
_STRUCT_METADATA = ("node", "user_agent_build_version")


def holds_data(message: Mapping[str, Any]) -> bool:
    """Whether the `value` of this message is data: an Any of a well-known type."""
    kind = message.get("@type")
    return isinstance(kind, str) and kind.endswith(_VALUE_TYPES)


def is_data(field: str, parent: str, *, in_value_type: bool) -> bool:
    """Whether all below *field* (snake_case) of the message in the field *parent* is data.

    `match` and `metadata` are Structs in some messages only.
    """
    return (
        field in DATA
        or (field == "value" and in_value_type)
        or (field == "match" and parent == "transport_socket_matches")
        or (field == "metadata" and parent in _STRUCT_METADATA)
    )
