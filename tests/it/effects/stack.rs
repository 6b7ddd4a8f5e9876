//! However deep a text nests, a detector needs little stack.

use incident::effects::{ActText, Dialect, detect, detect_sql};
use incident::model::effect::Effect;

/// Three quarters of what a thread is given.
const STACK: usize = 1536 * 1024;

#[test]
fn deep_sql_needs_little_stack() {
    let n = 400;
    let nested =
        |open: &str, middle: &str, close: &str| format!("{}{middle}{}", open.repeat(n), close.repeat(n));
    let texts = [
        format!("select {}", nested("(", "1", ")")),
        format!("select * from {}", nested("(select * from ", "t", ") x")),
        format!("select {} true", "not ".repeat(n)),
        format!("select {}1", "- ".repeat(n)),
        format!("select {}", nested("case when ", "1", " then 1 end")),
        format!("select {}", nested("abs(", "1", ")")),
        format!("select {}", nested("array[", "1", "]")),
        format!("select {}", nested("exists(select ", "1", ")")),
        format!("select {}", nested("cast(", "1", " as int)")),
        format!("select * from {}", nested("(", "a", " join b on true)")),
        format!("select cast(1 as {})", nested("array<", "int", ">")),
        nested("with a as (", "select 1", ") select 1"),
        format!("delete from t where a = 1{}", " and a = 1".repeat(n)),
        format!("select 1{}", "+1".repeat(900)),
        format!("select 1{}", " union select 1".repeat(500)),
        format!("{}select 1", "explain analyze ".repeat(n)),
    ];
    let look = move || {
        for text in &texts {
            for dialect in [
                Dialect::Postgres,
                Dialect::MySql,
                Dialect::Sqlite,
                Dialect::Generic,
            ] {
                assert!(!detect_sql(text, dialect).is_empty());
            }
            // The same at the bottom of some shells.
            let mut line = format!("psql -c \"{text}\"");
            for wrapper in ["sudo", "nohup", "timeout 5", "nice", "env A=b", "setsid"] {
                line = format!("{wrapper} {line}");
            }
            let argv = ["sh".to_owned(), "-c".to_owned(), line];
            let act = ActText {
                argv: &argv,
                scripts: &[],
                stdin: None,
            };
            assert!(!detect(&act).is_empty());
        }
    };
    std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(look)
        .unwrap()
        .join()
        .unwrap();
}

/// What people type is not too deep.
#[test]
fn ordinary_queries_inside_queries_stay_reads() {
    for text in [
        "select count(*) from (select id from orders where id in (select order_id from items where price > (select avg(price) from items))) x",
        "with a as (select * from t where (a = 1 or (b = 2 and (c = 3 or d = 4)))), b as (select * from a) select coalesce(round(avg(x::numeric), 2), 0) from b",
        "select case when a > 1 then (select max(b) from c where d = (e + 1)) else coalesce(nullif(upper(trim(x)), ''), 'y') end from z",
    ] {
        let seen = detect_sql(text, Dialect::Postgres);
        assert!(
            seen.iter().all(|one| one.effect == Effect::Read),
            "{text}: {seen:?}"
        );
    }
}
