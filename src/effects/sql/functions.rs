//! Functions in SQL: which ones read, which ones act.
//!
//! Found by tokens, a name in front of `(`, so that no corner of the grammar can hide a call.

use sqlparser::tokenizer::Token;

use crate::effects::eye::Eye;
use crate::model::effect::Effect;

use super::{One, word_at};

/// Names in front of a bracket that are grammar, types or reading functions.
const READS: &str = " copy \
in values any all some exists not and or on using over within group filter partition by as from where having select union \
except intersect case when then else end between like ilike similar distinct returning set limit offset fetch order join \
lateral rows range groups array row rollup cube grouping sets only materialized with recursive cast try_cast conflict \
escape is window tablesample bernoulli system explain interval collate key index unique primary check default \
char character varchar varying nvarchar text numeric decimal dec number float double precision bit varbit binary varbinary time timestamp timestamptz int integer bigint smallint \
count sum avg min max coalesce nullif greatest least abs ceil ceiling floor round trunc truncate mod power sqrt sign exp ln log log10 log2 \
length char_length character_length octet_length lower upper initcap trim ltrim rtrim btrim lpad rpad left right substr substring replace \
reverse repeat strpos position instr locate concat concat_ws format split_part string_agg group_concat array_agg array_length cardinality \
unnest array_to_string string_to_array array_position array_remove regexp_replace regexp_matches regexp_match regexp_count regexp_like regexp_substr translate overlay ascii chr md5 sha1 sha2 sha224 sha256 sha384 sha512 \
encode decode hex unhex to_hex crc32 quote quote_literal quote_ident quote_nullable starts_with soundex \
now current_timestamp current_date current_time clock_timestamp statement_timestamp transaction_timestamp localtime localtimestamp timeofday \
date datetime julianday strftime unixepoch date_trunc date_part extract age date_add date_sub datediff timestampdiff timediff date_format from_unixtime \
unix_timestamp to_char to_date to_timestamp to_number make_date make_time make_timestamp make_timestamptz make_interval isfinite justify_hours justify_interval year month day hour minute second week quarter dayofweek curdate curtime utc_timestamp last_day \
row_number rank dense_rank ntile lag lead first_value last_value nth_value percent_rank cume_dist percentile_cont percentile_disc mode stddev stddev_pop stddev_samp variance var_pop var_samp corr \
bool_and bool_or every bit_and bit_or json_agg jsonb_agg json_object_agg jsonb_object_agg json_build_object jsonb_build_object json_build_array jsonb_build_array \
to_json to_jsonb row_to_json json_extract json_extract_path json_extract_path_text jsonb_extract_path jsonb_extract_path_text json_array_length jsonb_array_length json_array_elements jsonb_array_elements json_array_elements_text jsonb_array_elements_text \
json_each jsonb_each json_each_text jsonb_each_text json_object_keys jsonb_object_keys json_typeof jsonb_typeof jsonb_pretty json_type json_valid json_unquote json_object json_array json_tree json jsonb_path_query jsonb_path_exists jsonb_set jsonb_strip_nulls \
generate_series generate_subscripts version current_database current_schema current_schemas current_user session_user user database schema current_setting current_query inet_server_addr inet_server_port inet_client_addr \
pg_backend_pid pg_postmaster_start_time pg_conf_load_time pg_is_in_recovery pg_is_wal_replay_paused pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_current_wal_lsn pg_current_wal_insert_lsn pg_current_wal_flush_lsn \
pg_walfile_name pg_wal_lsn_diff pg_size_pretty pg_database_size pg_relation_size pg_total_relation_size pg_table_size pg_indexes_size pg_tablespace_size pg_column_size pg_relation_filepath pg_relation_filenode \
pg_get_viewdef pg_get_functiondef pg_get_indexdef pg_get_constraintdef pg_get_triggerdef pg_get_expr pg_get_userbyid pg_get_ruledef pg_get_serial_sequence pg_table_is_visible pg_typeof pg_blocking_pids pg_lock_status pg_stat_get_activity pg_xact_commit_timestamp pg_last_committed_xact \
txid_current_if_assigned pg_current_xact_id_if_assigned txid_current_snapshot pg_current_snapshot pg_snapshot_xmin age mxid_age has_table_privilege has_database_privilege has_schema_privilege has_column_privilege has_function_privilege pg_has_role obj_description col_description shobj_description \
to_regclass to_regtype to_regrole to_regnamespace format_type pg_sleep pg_sleep_for pg_settings_get_flags pg_show_all_settings pg_control_system pg_control_checkpoint pg_ls_waldir pg_ls_archive_statusdir pg_stat_file pg_encoding_to_char \
last_insert_id connection_id found_rows row_count if ifnull isnull iif nvl field find_in_set elt inet_ntoa inet_aton uuid_short gen_random_uuid uuid random rand bin_to_uuid uuid_to_bin convert \
changes total_changes last_insert_rowid sqlite_version typeof printf glob zeroblob likely unlikely total pragma_table_info \
host hostmask netmask network masklen family text set_masklen inet_same_family width_bucket int4range int8range numrange tsrange tstzrange daterange lower_inc upper_inc isempty \
to_tsvector to_tsquery plainto_tsquery websearch_to_tsquery ts_rank ts_headline similarity word_similarity st_x st_y st_distance st_dwithin ";

/// Functions that act, and what they change.
const ACTS: &[(&str, &[Effect])] = &[
    ("pg_terminate_backend", &[Effect::Traffic]),
    ("pg_cancel_backend", &[Effect::Traffic]),
    ("pg_reload_conf", &[Effect::ConfigChange]),
    ("pg_rotate_logfile", &[Effect::ConfigChange]),
    ("pg_promote", &[Effect::InfraChange, Effect::OneWay]),
    ("pg_wal_replay_pause", &[Effect::Protect]),
    ("pg_create_restore_point", &[Effect::Protect]),
    ("pg_backup_start", &[Effect::Protect]),
    ("pg_start_backup", &[Effect::Protect]),
    ("pg_export_snapshot", &[Effect::Protect]),
    ("pg_switch_wal", &[Effect::Protect]),
    ("pg_wal_replay_resume", &[Effect::ConfigChange]),
    (
        "pg_drop_replication_slot",
        &[Effect::BackupChange, Effect::OneWay],
    ),
    ("pg_create_physical_replication_slot", &[Effect::ConfigChange]),
    ("pg_create_logical_replication_slot", &[Effect::ConfigChange]),
    ("pg_stat_reset", &[Effect::DataWrite, Effect::OneWay]),
    ("pg_stat_statements_reset", &[Effect::DataWrite, Effect::OneWay]),
    ("lo_unlink", &[Effect::DataWrite, Effect::OneWay]),
    ("lo_create", &[Effect::DataWrite]),
    ("lo_import", &[Effect::DataWrite]),
    ("lo_export", &[Effect::DataWrite]),
    ("lo_put", &[Effect::DataWrite]),
    ("setval", &[Effect::DataWrite]),
    ("nextval", &[Effect::DataWrite]),
    ("pg_notify", &[Effect::DataWrite]),
    ("pg_file_write", &[Effect::DataWrite]),
    ("pg_file_unlink", &[Effect::DataWrite, Effect::OneWay]),
    ("pg_advisory_lock", &[Effect::Traffic]),
    ("set_config", &[Effect::ConfigChange]),
    ("truncate_tables", &[Effect::BulkData, Effect::OneWay]),
    ("load_extension", &[Effect::SecurityConfig, Effect::Unknown]),
    ("writefile", &[Effect::DataWrite]),
];

/// The calls in a statement: place of the name, the name in lower case, whether it is a system one.
fn calls<'t>(one: &'t One<'_>) -> impl Iterator<Item = (usize, String, bool)> + 't {
    one.tokens.windows(2).enumerate().filter_map(|(at, pair)| {
        let [Token::Word(word), Token::LParen] = pair else {
            return None;
        };
        let qualified = at > 0 && one.tokens.get(at - 1) == Some(&Token::Period);
        let schema = word_at(one.tokens, at.saturating_sub(2));
        let system = !qualified || schema == "PG_CATALOG" && word_at(one.tokens, at.wrapping_sub(3)) != ".";
        Some((at, word.value.to_ascii_lowercase(), system))
    })
}

/// Notes every function that is known to act.
pub(super) fn positively(eye: &mut Eye<'_>, one: &One<'_>) {
    for (_, name, _) in calls(one) {
        if let Some((known, effects)) = ACTS.iter().find(|(known, _)| *known == name) {
            eye.see_all(effects, &one.text, &format!("sql.{known}"));
        }
    }
}

/// Notes every function that is not known to read.
pub(super) fn unknown_ones(eye: &mut Eye<'_>, one: &One<'_>) {
    for (at, name, system) in calls(one) {
        let reads = system && !name.contains(' ') && READS.contains(&format!(" {name} "));
        let acts = ACTS.iter().any(|(known, _)| *known == name);
        if !reads && !acts && !declares(one, at) {
            eye.unknown(&one.text, "sql.function-not-known");
        }
    }
}

/// Whether a name in front of a bracket is being named there: `INTO t (a)`, `WITH x (a)`, `AS x (a)`.
fn declares(one: &One<'_>, at: usize) -> bool {
    let mut start = at;
    while start >= 2 && one.tokens.get(start - 1) == Some(&Token::Period) {
        start -= 2;
    }
    start > 0
        && matches!(
            word_at(one.tokens, start - 1).as_str(),
            "INTO" | "WITH" | "RECURSIVE" | "AS"
        )
}

/// As [`unknown_ones`], for `COPY`: a table's column list is no call.
pub(super) fn unknown_ones_in_query(eye: &mut Eye<'_>, one: &One<'_>, is_query: bool) {
    if is_query {
        unknown_ones(eye, one);
    }
}
