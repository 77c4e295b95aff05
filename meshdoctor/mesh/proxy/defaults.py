"""What a field of Envoy's API means when it is absent, as protobuf's JSON leaves out what has its default value.

From the descriptors of the Envoy API v1.40 (envoy.*, xds.*, udpa.* without v2). A name that several messages have
counts as explicit when it is so in one of them.
"""

from __future__ import annotations

_EXPLICIT = """
    add_proxy_protocol_connection_state add_user_agent advertise_accept_encoding allow_absolute_url
    allow_all_routing allow_credentials allow_default_tag_overrides allow_envoy allow_on_headers_stop_iteration
    allow_private_network_access alt_port always_consume_default_token_bucket always_eject_one_host any any_match
    append application_utilization auto_host_rewrite bind_to_port bins bool_match buffer_size_bytes buffer_size_kb
    cache_size case_sensitive charge_cluster_response_stats check_drain_close choice_count chunk_size
    clear_route_cache close_downstream_on_upstream_error compression_level consecutive_5xx
    consecutive_gateway_failure consecutive_local_origin_failure content_length cpu_utilization default_value
    destination_port detect_degraded_hosts disable_stateless_session_resumption disabled disallow_all
    disallow_is_error disallow_obs_text disallow_system dynamic_stats edns0_max_payload_size emit_client_span
    emit_tags_as_attributes enable_dynamic_metadata_ingestion enable_early_data enable_full_scan
    enable_huffman_encoding enable_ja3_fingerprinting enable_ja4_fingerprinting enable_oob_load_report
    enable_resumption enable_reuse_port enable_scone enable_tenant_isolation enable_zone_discovery enabled
    endpoint enforce_rsa_key_usage enforcing enforcing_consecutive_5xx enforcing_consecutive_gateway_failure
    enforcing_consecutive_local_origin_failure enforcing_failure_percentage
    enforcing_failure_percentage_local_origin enforcing_local_origin_success_rate enforcing_success_rate
    error_utilization_penalty exact expect_match failure_mode_allow failure_percentage_minimum_hosts
    failure_percentage_request_volume failure_percentage_threshold fallback_protocol_version fill_rate
    first_address_family_count forward_not_matching_preflights freebind full_scan_certs_on_sni_mismatch
    generate_request_id grpc_status hash_balance_factor health_check_config healthy_threshold hits_addend
    hpack_table_size http_body http_handshake http_status https_redirect identifier include_vh_rate_limits index
    initial_connection_window_size initial_read_buffer_size initial_requests initial_stream_window_size
    inline_string_threshold_bytes input_block_bits int_value io_uring_options io_uring_size keepalive_interval
    keepalive_probes keepalive_time leds_cluster_locality_config level limit_kbps load_assignment
    load_balancer_endpoints load_balancing_weight match_if_key_not_found max_active_faults max_bson_depth
    max_buffer_size max_buffered_bytes max_buffered_datagrams max_buffered_rx_bytes max_buffered_tx_bytes
    max_bytes_per_datagram max_cache_entry_count max_cache_size max_cache_size_bytes max_chunks
    max_client_hello_size max_concurrency_limit max_concurrent_streams max_connect_attempts max_connection_pools
    max_connections max_connections_to_accept_per_socket_event max_consecutive_inbound_frames_with_empty_payload
    max_cookie_size max_counters max_direct_response_body_size_bytes max_dynamic_descriptors max_early_data_bytes
    max_ejection_percent max_entries max_event_size max_gauges max_header_field_size_kb max_headers_count
    max_histograms max_hosts max_inbound_priority_frames_per_stream
    max_inbound_window_update_frames_per_data_frame_sent max_individual_cache_entry_size_bytes max_inflate_ratio
    max_internal_redirects max_json_body_size max_metadata_size max_outbound_control_frames max_outbound_frames
    max_packet_bytes max_packet_length max_parsed_sse_events max_path_tag_length max_pending_requests
    max_per_cpu_cache_size_bytes max_program_size max_receive_message_length max_request_body_size
    max_request_bytes max_request_headers_kb max_requests max_requests_per_connection max_response_body_size
    max_response_headers_kb max_retries max_rewritten_path_bytes max_rx_datagram_size max_session_keys
    max_sessions_per_event_loop max_sse_event_size max_sub_clusters max_supported_protocol_version max_tokens
    max_unfreed_memory_bytes max_upstream_unknown_connections max_verify_depth maximum_ring_size mem_utilization
    memory_buffer_bytes_limit memory_level min_cluster_size min_concurrency min_concurrency_limit
    min_content_length min_retry_concurrency min_size min_streamed_sent_bytes minimum_ring_size normalize_path
    num_resolver_threads num_retries num_timeouts_to_trigger_port_migration number overprovisioning_factor
    override_stream_error_on_invalid_http_message pack_trace_reason packets_to_read_to_connection_count_ratio
    pass_through_mode per_connection_buffer_limit_bytes per_request_buffer_limit_bytes
    per_stream_buffer_limit_bytes per_upstream_preconnect_ratio ping_failure_threshold policy port_value
    predictive_preconnect_ratio prefer_gro prefix_len present_match presented preserve_response_code_details
    print_options propagate proximity proxy_port qcache_max_ttl quality query_timeout_seconds query_tries
    read_buffer_size read_limit_kbps redirect_refresh_threshold register_user_space_sockets reject_all
    reject_connect_request_early_data reject_duplicate_keys remote_probe_fraction remove_accept_encoding_header
    report_counters_as_deltas request_body_buffer_limit request_count request_json_print_options
    require_client_certificate require_signed_certificate_timestamp require_sni response_buffer_size
    reuse_connection send_disable_active_migration set_instrumentation_scope set_service_name_resource_attribute
    set_telemetry_sdk_resource_attributes shared_span_context single_frame_mode skip_xff_append
    sockhash_max_entries soft_memory_limit_bytes source_ip spawn_upstream_span stage stats_flush_on_admin
    stats_for_all_methods stats_server_version_override status_code stop_processing_after_matches
    storage_buffer_bytes_limit storage_buffer_path storage_buffer_queue_high_watermark_bytes
    stream_error_on_invalid_http_message stream_reset_burst stream_reset_rate strip_any_host_port subject
    subset_size success_rate_minimum_hosts success_rate_request_volume success_rate_stdev_factor
    successful_active_health_check_uneject_host suffix_len table_size tcp_backlog_size tcp_fast_open_queue_length
    threshold tokens_per_fill total_weight trace_sampled transparent type udp_max_queries unhealthy_threshold
    unit_multiplier upstream_port_override use_all_default_tags use_balsa_parser use_hash_policy use_node_id
    use_oghttp2_codec use_original_dst use_proxy_proto use_refresh_token use_remote_address
    use_request_id_for_trace_sampling use_system_config use_tag_extracted_name utilization_variance_threshold
    v4_prefix_mask_len v6_prefix_mask_len validate_clusters validated value value_fixed wait_for_warm_on_init
    weight window_bits write_high_watermark_bytes write_limit_kbps write_low_watermark_bytes write_timeout_ms
"""
EXPLICIT = frozenset(_EXPLICIT.split())
"""Numbers and booleans (wrappers, members of a oneof) of which 0 or false is not the same as nothing."""

_DEFAULTS = """
    action=ALLOW|APPEND_IF_EXISTS_OR_ADD|MERGE|SANITIZE add_log_type=NotSet
    api_type=DEPRECATED_AND_UNAVAILABLE_DO_NOT_USE append_action=APPEND_IF_EXISTS_OR_ADD attribute_source=BODY
    audit_condition=NONE auth_type=BASIC_AUTH|URL_ENCODED_BODY cache_scope=CACHE_SCOPE_UNSPECIFIED
    check_result=UNSPECIFIED cluster_not_found_response_code=SERVICE_UNAVAILABLE code=Empty
    codec_client_type=HTTP1 codec_type=AUTO collector_endpoint_version=DEPRECATED_AND_UNAVAILABLE_DO_NOT_USE
    compression_level=DEFAULT|DEFAULT_COMPRESSION compression_strategy=DEFAULT|DEFAULT_STRATEGY
    default_llm_protocol=LLM_PROTOCOL_UNSPECIFIED denominator=HUNDRED direction=REQUEST
    dns_lookup_family=AUTO|UNSPECIFIED drain_type=DEFAULT enable_mode=DISABLED enable_x_ratelimit_headers=OFF
    encode=NONE encoder_mode=DEFAULT enforcement_type=ONE_TIME_ON_FIRST_BYTE event=UNKNOWN
    failure_policy=FAILURE_POLICY_UNSPECIFIED|UNSPECIFIED fallback_policy=NOT_DEFINED|NO_FALLBACK fault_type=DELAY
    field=METHOD_NAME filtering_mode=OVERRIDE first_address_family_version=DEFAULT
    format=JSON_BODY_AS_BYTES|SECONDS|TEXT formatter_type_on_envoy_headers=DEFAULT
    forward_client_cert_details=SANITIZE hash_function=DEFAULT_HASH|XX_HASH headers_with_underscores_action=ALLOW
    health_status=UNKNOWN histogram_emit_mode=SUMMARY_AND_HISTOGRAM inline_header_type=REQUEST_HEADER
    internal_redirect_action=PASS_THROUGH_INTERNAL_REDIRECT invocation_mode=SYNCHRONOUS
    ip_version=SOCKET_IP_VERSION_UNSPECIFIED lb_policy=ROUND_ROBIN llm_protocol=LLM_PROTOCOL_UNSPECIFIED
    locality_basis=HEALTHY_HOSTS_NUM log_type=NotSet match_type=INCLUDE_ALL
    metadata_fallback_policy=METADATA_NO_FALLBACK metadata_source=DYNAMIC method=METHOD_UNSPECIFIED
    mode=ExtractMode_UNSPECIFIED|HOST|MODE_UNSPECIFIED ocsp_staple_policy=LENIENT_STAPLING on_error=NO_MATCH op=EQ
    opcode=Connect override_option=DEFAULT package_version_status=UNKNOWN
    path_with_escaped_slashes_action=IMPLEMENTATION_SPECIFIC_DEFAULT priority=DEFAULT process_read=STREAMED
    process_write=STREAMED protocol=AUTO_PROTOCOL|TCP protocol_selection=USE_CONFIGURED_PROTOCOL
    protocol_type=Dubbo protocol_version=RESP2 proxy_protocol_tlv_merge_policy=ADD_IF_ABSENT read_policy=MASTER
    request_body_mode=NONE request_handling=DIRECTION_UNSPECIFIED request_header_mode=DEFAULT
    request_method=METHOD_UNSPECIFIED request_storage_mode=MODE_UNSPECIFIED request_trailer_mode=DEFAULT
    request_type=BOTH require_tls=NONE reserialize_body=ALWAYS resource_api_version=AUTO response_body_mode=NONE
    response_code=MOVED_PERMANENTLY response_handling=DIRECTION_UNSPECIFIED response_header_mode=DEFAULT
    response_trailer_mode=DEFAULT route_cache_action=DEFAULT same_site=DISABLED san_type=SAN_TYPE_UNSPECIFIED
    scheme=XDSTP selection_method=N_CHOICES serialization_type=Hessian2 server_header_transformation=OVERWRITE
    shared_with_upstream=NONE signing_algorithm=AWS_SIGV4|RS256 source=DYNAMIC source_type=ANY state=STATE_PREBIND
    storage_mode=NONE strategy=DEFAULT sub_log_type=NotSet threading_model=MAIN_THREAD_ONLY time_unit=UNKNOWN
    timer=UNSPECIFIED tls_maximum_protocol_version=TLS_AUTO tls_minimum_protocol_version=TLS_AUTO
    tlv_location=DYNAMIC_METADATA trace_context_option=USE_B3 traffic_direction=UNSPECIFIED
    traffic_mode=PASS_THROUGH transport=AUTO_TRANSPORT transport_api_version=AUTO
    trust_chain_verification=VERIFY_TRUST_CHAIN type=HEADER|PROTOBUF_VALUE|STATIC|STRING|TYPE_UNSPECIFIED
    unit=UNKNOWN|Unspecified upstream_connect_mode=IMMEDIATE url_unescape_spec=ALL_CHARACTERS_EXCEPT_RESERVED
    usage_signal=USAGE_SIGNAL_UNSPECIFIED value_string_encoding=UNSPECIFIED value_type=UNSPECIFIED version=V1
    vh_rate_limits=OVERRIDE x_ratelimit_option=UNSPECIFIED
"""
ENUM_DEFAULTS = {
    name: frozenset(values.split("|")) for name, values in (entry.split("=") for entry in _DEFAULTS.split())
}
"""The value of each field of an enum type that is its default: absent means this one."""
