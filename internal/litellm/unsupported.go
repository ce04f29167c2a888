package litellm

import "maps"

// The tables below say why a key that LiteLLM has is not mapped.

const (
	noState    = "is not used: what instances share is in the Redis that router_settings names, by redis_host or redis_url"
	noCache    = "is not used: answers are kept by litellm_settings.cache, with its cache_params"
	noPrices   = "is not used: a price is that of a token, by input_cost_per_token and output_cost_per_token of a deployment"
	noBudgets  = "is not used: there are no budgets here"
	noKeys     = "is not used: there are no virtual keys, users or teams here; clients are asked for the master_key alone"
	noDatabase = "is not used: nothing is kept in a database here"
	noLogging  = "is not used: requests are logged and counted by Caddy's own logs and metrics"
	noProbes   = "is not used: write active health checks on the deployments"
	noAffinity = "is not used: write affinity in the pool"
	noChange   = "is not used: the client's body goes to the deployment as it is, but for the model"
	noLabel    = "is not used: it describes the model"
	noAlerts   = "is not used: there are no alerts yet"
	noGuard    = "is not used: requests and answers are not checked here"
	noTokens   = "is not used: there is no such limit here; use tpm"
	noAWS      = "is not used: there is no such provider here"
)

// table gives every key the same reason.
func table(reason string, keys ...string) map[string]string {
	t := make(map[string]string, len(keys))
	for _, key := range keys {
		t[key] = reason
	}
	return t
}

func tables(all ...map[string]string) map[string]string {
	whole := make(map[string]string)
	for _, t := range all {
		maps.Copy(whole, t)
	}
	return whole
}

var unsupportedTop = tables(
	table(noGuard, "guardrails", "policies"),
	table(noLogging, "callback_settings"),
	table("is not used: only models are served here",
		"mcp_servers", "mcp_tools", "search_tools", "vector_store_registry", "assistant_settings", "files_settings",
		"finetune_settings", "agent_list", "prompts", "worker_registry"),
)

var unsupportedModel = map[string]string{
	"model_info_version": noLabel,
	"id":                 "belongs into model_info, and is not used here",
	"tpm":                "belongs into litellm_params, and is not used here",
	"rpm":                "belongs into litellm_params, and is not used here",
}

var unsupportedParams = tables(
	table(noTokens, "itpm", "otpm"),
	table(noPrices, "input_cost_per_second", "output_cost_per_second", "cache_creation_input_token_cost", "cache_read_input_token_cost"),
	table(noBudgets, "max_budget", "budget_duration"),
	table("is not used: it is requests that ask for a region, by a field of this name", "allowed_model_region"),
	table("is not used: tags are compared as they are", "tag_regex"),
	table("is not used: requests are not mirrored", "silent_model"),
	table("is not used: the deployment is asked once by each attempt; num_retries is what counts", "max_retries"),
	table(noChange, "temperature", "max_tokens", "max_completion_tokens", "top_p", "top_k", "n", "stop", "seed", "stream",
		"presence_penalty", "frequency_penalty", "logit_bias", "user", "tools", "tool_choice", "response_format",
		"reasoning_effort", "thinking", "extra_body", "drop_params", "additional_drop_params", "modify_params",
		"allowed_openai_params", "input_type", "dimensions", "stream_options", "metadata", "custom_prompt_template",
		"roles", "initial_prompt_value", "merge_reasoning_content_in_choices", "cache_control_injection_points",
		"prompt_id", "prompt_variables", "num_ctx", "keep_alive", "mock_tool_calls"),
	table("is not used: only requests for models are passed on", "use_in_pass_through", "use_litellm_proxy"),
	table("is not used: the client's credentials are never sent to a deployment", "configurable_clientside_auth_params"),
	table(noAWS, "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_region_name", "aws_role_name",
		"aws_session_name", "aws_profile_name", "aws_bedrock_runtime_endpoint", "vertex_project", "vertex_location",
		"vertex_credentials", "watsonx_region_name"),
	table("is not used: the key is all that identifies the caller to Azure here", "tenant_id", "azure_username", "azure_password", "api_type"),
	table("is not used: the certificate is checked; set reverse_proxy.transport on the deployment for another", "ssl_verify", "ssl_certificate"),
	table(noGuard, "guardrails"),
	table(noAffinity, "deployment_affinity_ttl_seconds"),
	table(noCache, "cache", "caching"),
	table(noLogging, "callbacks", "success_callback", "failure_callback", "turn_off_message_logging"),
)

// unusedByMock is about a deployment whose response is a mock, which is sent nothing.
var unusedByMock = table("is not used, because the response is a mock",
	"api_version", "azure_ad_token", "client_id", "client_secret", "azure_scope", "organization", "headers", "extra_headers")

var unsupportedInfo = tables(
	table(noPrices, "input_cost_per_second", "output_cost_per_second", "cache_creation_input_token_cost", "cache_read_input_token_cost"),
	table(noBudgets, "max_budget", "budget_duration"),
	table(noLabel, "mode", "description", "max_tokens", "max_output_tokens", "litellm_provider", "created_at", "updated_at",
		"created_by", "updated_by", "db_model", "version", "supports_vision", "supports_function_calling",
		"supports_parallel_function_calling", "supports_response_schema", "supports_system_messages", "supports_reasoning",
		"supports_prompt_caching", "supports_audio_input", "supports_audio_output", "supports_web_search",
		"supports_pdf_input", "supported_environments", "additionalProp1", "tier"),
	table(noKeys, "access_groups", "access_via_team_ids", "direct_access"),
	table("is not used: a deployment is never reserved for a time", "access_windows"),
	table(noProbes, "disable_background_health_check", "health_check_max_tokens", "health_check_model",
		"health_check_timeout", "health_check_voice"),
	table(noTokens, "itpm", "otpm"),
)

var unsupportedRouter = tables(
	table("is not used: a strategy counts for the whole router; write strategy in the pool", "routing_groups", "model_priorities"),
	table("is not used: a request that waits is served as soon as something is free", "polling_interval"),
	table(noAffinity, "model_group_affinity_config"),
	table("is not used: a request's tags are compared as they are", "tag_routing_prefix"),
	table(noProbes, "enable_health_check_routing", "health_check_staleness_threshold",
		"health_check_ignore_transient_errors", "background_health_check_model_groups"),
	table(noBudgets, "provider_budget_config"),
	table("is not used: the connections to deployments are Caddy's", "client_ttl"),
	table(noAlerts, "alerting_config"),
	table("is not used: write its keys on every deployment", "default_litellm_params"),
	table("is not used: LiteLLM's plugins are Python", "plugins"),
	table("is not used: every attempt is one request", "max_retries"),
	table(noLogging, "set_verbose", "debug_level"),
	table("is not used: unused in the proxy's config", "assistants_config", "search_tools", "guardrail_list"),
)

// unsupportedConnection is about cache_kwargs.
var unsupportedConnection = tables(
	table("is not used: what instances share has keys of its own; write prefix in the app llm_router for others", "namespace"),
	table(noCache, "ttl", "default_in_memory_ttl", "default_in_redis_ttl", "supported_call_types", "mode", "type"),
	table("is not used: TLS trusts the certificates of the system", "ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "gcp_ssl_ca_certs"),
	table("is not used: signing in to Redis is with a user and a password here", "gcp_service_account"),
	table("is not used: the connections have bounds of their own", "max_connections", "socket_timeout", "socket_connect_timeout",
		"socket_keepalive", "health_check_interval", "retry_on_timeout", "redis_flush_size"),
)

// unsupportedCache is about cache_params.
var unsupportedCache = tables(
	table(noState, "host", "port", "db", "url", "username", "password", "ssl", "redis_startup_nodes", "startup_nodes",
		"sentinel_nodes", "service_name", "sentinel_password", "gcp_service_account", "max_connections", "socket_timeout"),
	table("is not used: what instances share has keys of its own; write prefix in the app llm_router for others", "namespace"),
	table("is not used: ttl counts, wherever answers are kept", "default_in_memory_ttl", "default_in_redis_ttl"),
	table("is not used: write cache.size in the router's JSON for another bound than 64 MiB", "max_size", "max_size_in_memory"),
	table("is not used: answers are written to Redis one by one, in the background", "redis_flush_size"),
	table("is not used: only requests that ask exactly the same get an answer again", "similarity_threshold",
		"redis_semantic_cache_embedding_model", "redis_semantic_cache_index_name", "qdrant_semantic_cache_embedding_model",
		"qdrant_api_base", "qdrant_api_key", "qdrant_collection_name", "qdrant_quantization_config"),
	table("is not used: answers are kept in memory and in Redis", "s3_bucket_name", "s3_region_name", "s3_api_version",
		"s3_endpoint_url", "s3_aws_access_key_id", "s3_aws_secret_access_key", "s3_path", "gcs_bucket_name", "disk_cache_dir"),
)

var unsupportedLibrary = tables(
	table(noLogging, "callbacks", "success_callback", "failure_callback", "service_callback", "audit_log_callbacks",
		"turn_off_message_logging", "redact_user_api_key_info", "langfuse_default_tags", "set_verbose", "json_logs",
		"log_raw_request_response", "store_audit_logs", "telemetry", "suppress_debug_info", "s3_callback_params",
		"langfuse_enable_update_trace_keys", "request_correlation_in_logs", "custom_prometheus_metadata_labels",
		"custom_prometheus_tags", "prometheus_metrics_config", "require_auth_for_metrics_endpoint"),
	table(noKeys, "enable_redis_auth_cache"),
	table(noChange, "drop_params", "modify_params", "add_function_to_prompt", "disable_stop_sequence_limit",
		"enable_preview_features", "include_cost_in_streaming_usage", "default_max_tokens", "user_header_name",
		"disable_add_transform_inline_image_block", "disable_copilot_system_to_assistant"),
	table(noPrices, "cost_discount_config", "cost_margin_config"),
	table(noBudgets, "max_budget", "budget_duration", "max_internal_user_budget",
		"internal_user_budget_duration", "max_end_user_budget", "max_end_user_budget_id", "max_ui_session_budget"),
	table(noKeys, "default_team_settings", "default_team_params", "default_internal_user_params", "default_key_generate_params",
		"upperbound_key_generate_params", "key_generation_settings", "enable_end_user_cost_tracking_prometheus_only", "public_model_groups"),
	table(noGuard, "guardrails", "llm_guard_mode", "blocked_user_list", "banned_keywords_list", "google_moderation_confidence_threshold",
		"openai_moderations_model_name", "presidio_ad_hoc_recognizers"),
	table(noTokens, "priority_reservation", "priority_reservation_settings"),
	table("is not used: the connections to deployments are Caddy's; set reverse_proxy.transport on the deployment",
		"force_ipv4", "ssl_verify", "ssl_certificate", "use_aiohttp_transport", "disable_aiohttp_transport"),
	table("is not used: only models are served here", "mcp_aliases", "default_in_memory_ttl", "default_redis_ttl",
		"default_redis_batch_cache_expiry", "public_routes", "image_generation_model"),
	table("is not used: the model of an answer and its headers are those of the deployment", "forward_traceparent_to_llm_provider",
		"return_response_headers", "model_group_settings"),
	table("is not used: LiteLLM's prices and names of models are not known here", "model_cost_map_url", "model_alias_map"),
)

var unsupportedGeneral = tables(
	table(noDatabase, "database_url", "database_type", "database_args", "database_connection_pool_limit", "database_connection_timeout",
		"store_model_in_db", "store_prompts_in_spend_logs", "allow_requests_on_db_unavailable", "disable_spend_logs",
		"disable_error_logs", "disable_prisma_schema_update", "use_redis_transaction_buffer", "supported_db_objects",
		"maximum_spend_logs_retention_period", "maximum_spend_logs_retention_interval", "proxy_batch_write_at"),
	table(noKeys, "litellm_jwtauth", "oauth2_config_mappings",
		"enforce_user_param", "custom_key_generate", "custom_sso", "custom_ui_sso_sign_in_handler", "allowed_routes", "admin_only_routes",
		"disable_master_key_return", "disable_reset_budget", "disable_adding_master_key_hash_to_db", "default_team_disabled",
		"ui_access_mode", "user_api_key_cache_ttl", "role_permissions", "enable_public_model_hub", "service_account_settings",
		"key_management_system", "key_management_settings", "proxy_budget_rescheduler_min_time", "proxy_budget_rescheduler_max_time"),
	table("is not used: the address is that of the connection", "use_x_forwarded_for", "mcp_trusted_proxy_ranges"),
	table("is not used: write max_parallel_requests on the deployments", "max_parallel_requests", "global_max_parallel_requests"),
	table("is not used: every request names its model", "completion_model", "infer_model_from_keys"),
	table(noAlerts, "alerting", "alerting_threshold", "alerting_args", "alert_types", "alert_to_webhook_url", "spend_report_frequency"),
	table(noProbes, "background_health_checks", "health_check_interval", "health_check_details", "health_check_concurrency",
		"use_shared_health_check"),
	table("is not used: answers are passed on as they come", "max_response_size_mb"),
	table("is not used: only requests for models are passed on", "pass_through_endpoints", "use_client_credentials_pass_through_routes",
		"enable_health_check_routing", "public_routes"),
	table("is not used: the client's headers go to the deployment, but for credentials", "forward_client_headers_to_llm_api",
		"forward_openai_org_id", "add_user_information_to_llm_headers"),
	table("is not used: one process serves with all cores", "num_workers"),
	table(noState, "coordination_redis"),
	table("is not used: there is no counterpart", "disable_retry_on_max_parallel_request_limit_error", "cancel_on_disconnect",
		"disable_responses_id_security", "reject_clientside_metadata_tags", "missing_session_id", "control_plane_url", "image_generation_model", "moderation_model"),
)
