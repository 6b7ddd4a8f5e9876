//! `mongosh`: a program in JavaScript. A few plain sentences are understood, such as `db.orders.find({a: 1}).limit(5)`;
//! everything else is searched and stays not understood.

use crate::effects::eye::{Cmd, Eye};
use crate::model::effect::Effect::{
    self, BulkData, CredentialChange, DataWrite, InfraChange, OneWay, Read, SchemaChange, ServiceRestart,
    Traffic,
};

/// Last calls of a sentence about a collection or a database, and what they change.
const CALLS: &[(&str, &[Effect])] = &[
    (
        "find findOne count countDocuments estimatedDocumentCount distinct aggregate stats dataSize storageSize \
         totalSize totalIndexSize getIndexes explain latencyStats isCapped serverStatus hostInfo version \
         getCollectionNames getCollectionInfos currentOp getProfilingStatus hello isMaster printCollectionStats \
         getName getMongo",
        &[Read],
    ),
    (
        "insertOne insertMany insert deleteOne updateOne replaceOne findOneAndUpdate findOneAndReplace findOneAndDelete",
        &[DataWrite],
    ),
    ("updateMany update bulkWrite save", &[BulkData]),
    ("deleteMany remove", &[BulkData, OneWay]),
    ("drop dropDatabase", &[SchemaChange, BulkData, OneWay]),
    ("dropIndex dropIndexes", &[SchemaChange, OneWay]),
    (
        "createIndex createIndexes createCollection renameCollection",
        &[SchemaChange],
    ),
    (
        "createUser dropUser dropAllUsers updateUser changeUserPassword grantRolesToUser revokeRolesFromUser createRole \
         dropRole updateRole grantPrivilegesToRole revokePrivilegesFromRole grantRolesToRole",
        &[CredentialChange],
    ),
    ("shutdownServer", &[ServiceRestart, Traffic]),
    ("killOp", &[Traffic]),
];

/// Calls that may follow a reading call and read as well.
const FOLLOW: &str = "sort limit skip projection project hint maxTimeMS batchSize collation toArray itcount count size \
                      pretty explain next hasNext returnKey showRecordId readPref comment";

/// Other sentences that only look.
const LOOKS: [&str; 10] = [
    "rs.status()",
    "rs.conf()",
    "rs.printReplicationInfo()",
    "rs.printSecondaryReplicationInfo()",
    "sh.status()",
    "show dbs",
    "show databases",
    "show collections",
    "show tables",
    "show profile",
];

/// What may not stand in what is handed to a call: it would run something, or write.
const RUNS: [&str; 10] = [
    "function",
    "=>",
    "$where",
    "$function",
    "$accumulator",
    "$out",
    "$merge",
    "eval",
    "proto",
    "constructor",
];

/// Words that give it away wherever they stand.
const WORDS: &[(&str, &[Effect])] = &[
    ("dropdatabase", &[SchemaChange, BulkData, OneWay]),
    (".drop(", &[SchemaChange, BulkData, OneWay]),
    ("deletemany", &[BulkData, OneWay]),
    (".remove(", &[BulkData, OneWay]),
    ("updatemany", &[BulkData]),
    ("deleteone", &[DataWrite]),
    ("updateone", &[DataWrite]),
    ("insert", &[DataWrite]),
    ("createuser", &[CredentialChange]),
    ("dropuser", &[CredentialChange]),
    ("grantroles", &[CredentialChange]),
    ("shutdownserver", &[ServiceRestart, Traffic]),
    ("rs.reconfig", &[InfraChange]),
];

/// `mongosh`, `mongo` and the programs beside them.
pub(super) fn mongo(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    if matches!(cmd.args, [only] if matches!(only.text.as_str(), "--version" | "--help")) {
        return eye.see(Read, &line, "mongo.version");
    }
    let texts = texts(cmd);
    let understood = texts.as_ref().is_some_and(|texts| {
        let mut all: Vec<&[Effect]> = Vec::new();
        let good = texts
            .iter()
            .all(|text| eye.afford(text) && sentences(text, &mut all));
        if good {
            all.iter()
                .for_each(|effects| eye.see_all(effects, &line, "mongo.call"));
        }
        good && !all.is_empty()
    });
    if !understood {
        eye.unknown(&line, "mongo.program-not-followed");
        let lower: String = cmd
            .args
            .iter()
            .map(|arg| arg.text.to_ascii_lowercase())
            .collect::<Vec<_>>()
            .join(" ");
        for (word, effects) in WORDS {
            if lower.contains(word) {
                eye.see_all(effects, &line, "mongo.words-seen");
            }
        }
    }
    match cmd.name {
        "mongorestore" if cmd.has("--drop") => eye.see_all(&[BulkData, OneWay], &line, "mongo.restore-drop"),
        "mongorestore" => eye.see(Effect::DataRestore, &line, "mongo.restore"),
        _ => {}
    }
}

/// What `--eval` is given, where every other word is an option that is known, or the one address.
fn texts<'c>(cmd: &Cmd<'c>) -> Option<Vec<&'c str>> {
    const VALUED: [&str; 9] = [
        "--host",
        "--port",
        "-u",
        "--username",
        "-p",
        "--password",
        "--authenticationDatabase",
        "--authenticationMechanism",
        "--tlsCAFile",
    ];
    const FLAGS: [&str; 6] = ["--quiet", "--norc", "--json", "--tls", "--ssl", "--nodb"];
    if !matches!(cmd.name, "mongosh" | "mongo") || cmd.args.iter().any(|arg| !arg.fixed) {
        return None;
    }
    let (mut texts, mut address) = (Vec::new(), false);
    let mut args = cmd.args.iter().map(|arg| arg.text.as_str());
    while let Some(arg) = args.next() {
        if arg == "--eval" {
            texts.push(args.next()?);
        } else if let Some(text) = arg.strip_prefix("--eval=") {
            texts.push(text);
        } else if VALUED.contains(&arg) {
            args.next()?;
        } else if !FLAGS.contains(&arg)
            && !VALUED
                .iter()
                .any(|o| arg.starts_with(&format!("{o}=")) && o.len() > 2)
        {
            // A file of commands looks like an address with an ending.
            let script = arg.ends_with("js") && !arg.contains("://");
            if arg.starts_with('-') || address || script {
                return None;
            }
            address = true;
        }
    }
    (!texts.is_empty()).then_some(texts)
}

/// Takes a text apart into sentences; false where one is not understood.
fn sentences<'e>(text: &str, all: &mut Vec<&'e [Effect]>) -> bool
where
    'static: 'e,
{
    let mut rest = text.trim();
    while !rest.is_empty() {
        let Some((effects, after)) = sentence(rest) else {
            return false;
        };
        all.push(effects);
        let after = after.trim_start_matches([' ', '\t']);
        rest = match after.strip_prefix([';', '\n']) {
            Some(more) => more.trim(),
            None if after.is_empty() => after,
            None => return false,
        };
    }
    true
}

/// The sentence at the start of a text, and what follows it.
fn sentence(text: &str) -> Option<(&'static [Effect], &str)> {
    for print in ["printjson(", "print(", "JSON.stringify(", "EJSON.stringify("] {
        if let Some(inner) = text.strip_prefix(print) {
            let (effects, after) = sentence(inner)?;
            return Some((effects, after.trim_start().strip_prefix(')')?));
        }
    }
    for look in LOOKS {
        if let Some(after) = text.strip_prefix(look)
            && !after.starts_with(|c: char| c.is_alphanumeric() || c == '.')
        {
            return Some((&[Read], after));
        }
    }
    let mut rest = text.strip_prefix("db")?;
    let mut effects: Option<&'static [Effect]> = None;
    while let Some(after) = rest.strip_prefix('.') {
        let long = after
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(after.len());
        let (name, after) = after.split_at(long);
        if name.is_empty() || RUNS.contains(&name) {
            return None;
        }
        let Some(call) = after.strip_prefix('(') else {
            // The name of a collection, or a part of one.
            if effects.is_some() {
                return None;
            }
            rest = after;
            continue;
        };
        let (given, after) = given(call)?;
        rest = after;
        effects = match effects {
            None if matches!(name, "getCollection" | "getSiblingDB") => None,
            None => Some(
                CALLS
                    .iter()
                    .find(|(names, _)| names.split_whitespace().any(|n| n == name))?
                    .1,
            ),
            Some(effects) if effects == [Read] && FOLLOW.split_whitespace().any(|n| n == name) => {
                Some(effects)
            }
            Some(_) => return None,
        };
        if RUNS.iter().any(|word| given.contains(word)) {
            return None;
        }
    }
    Some((effects?, rest))
}

/// What stands up to the closing bracket, if it is a literal: texts, numbers, names, lists, and a few makers of values.
fn given(text: &str) -> Option<(&str, &str)> {
    const MAKERS: [&str; 8] = [
        "ObjectId",
        "ISODate",
        "NumberLong",
        "NumberInt",
        "NumberDecimal",
        "UUID",
        "Timestamp",
        "Date",
    ];
    let mut open = vec![')'];
    let mut chars = text.char_indices();
    let mut word = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' | '\'' => loop {
                match chars.next()?.1 {
                    // An escape could spell any word.
                    '\\' | '\n' => return None,
                    end if end == c => break,
                    _ => {}
                }
            },
            '(' if MAKERS.contains(&word.as_str()) => open.push(')'),
            '{' => open.push('}'),
            '[' if word.is_empty() => open.push(']'),
            ')' | '}' | ']' => {
                if open.pop()? != c {
                    return None;
                }
                if open.is_empty() {
                    return Some((text.get(..at)?, text.get(at + 1..)?));
                }
            }
            ',' | ':' | ' ' | '\n' | '-' | '.' | '_' | '$' => {}
            c if c.is_ascii_alphanumeric() => {}
            _ => return None,
        }
        match c {
            c if c.is_ascii_alphanumeric() || c == '_' || c == '$' => word.push(c),
            ' ' | '\n' => {}
            _ => word.clear(),
        }
        // `new Date(…)` is a maker as well.
        if word == "new" {
            word.clear();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects(text: &str) -> Option<Vec<Effect>> {
        let mut all = Vec::new();
        let good = sentences(text, &mut all) && !all.is_empty();
        good.then(|| all.concat())
    }

    #[test]
    fn plain_sentences_are_understood() {
        for text in [
            "db.orders.find()",
            "db.orders.find({status: 'open', total: {$gt: 5}}, {_id: 0}).sort({_id: -1}).limit(5).toArray();",
            "printjson(db.serverStatus())",
            "db.getSiblingDB('shop').getCollection(\"orders\").countDocuments({a: ObjectId('65')})",
            "db.orders.aggregate([{$match: {a: 1}}, {$group: {_id: '$b', n: {$sum: 1}}}])",
            "rs.status(); db.orders.stats()\ndb.a.b.findOne()",
            "db.orders.find({at: {$gt: new Date('2026-11-20')}}).count()",
            "show dbs",
        ] {
            let seen = effects(text);
            assert!(
                seen.as_ref().is_some_and(|e| e.iter().all(|e| *e == Read)),
                "{text}: {seen:?}"
            );
        }
        assert_eq!(effects("db.orders.deleteMany({})"), Some(vec![BulkData, OneWay]));
        assert_eq!(effects("db.orders.deleteOne({_id: 5})"), Some(vec![DataWrite]));
        assert_eq!(
            effects("db.orders.find(); db.orders.drop()"),
            Some(vec![Read, SchemaChange, BulkData, OneWay])
        );
        assert_eq!(
            effects("db.createUser({user: 'x', pwd: 'y', roles: []})"),
            Some(vec![CredentialChange])
        );
    }

    #[test]
    fn anything_else_is_not() {
        for text in [
            "",
            "db",
            "db.orders",
            "db['drop' + 'Database']()",
            "db.orders['find']()",
            "db.orders.find().forEach(d => db.orders.remove(d))",
            "db.orders.find({$where: 'sleep(1)'})",
            "db.orders.find({'$wh\\u0065re': 'x'})",
            "db.orders.find({a: db.orders.drop()})",
            "db.orders.find({a: f(1)})",
            "db.orders.find`x`",
            "db.orders.aggregate([{$out: 'x'}])",
            "db.orders.aggregate([{'$merge': {into: 'x'}}])",
            "db.orders.find().map(x)",
            "db.orders.find()\n.drop()",
            "db.orders.find() || db.orders.drop()",
            "db.orders.find(), db.orders.drop()",
            "db = db.orders.find()",
            "load('x.js')",
            "db.runCommand({drop: 'x'})",
            "db.adminCommand({shutdown: 1})",
            "db.orders.find(/* */).drop()",
            "db.eval('x')",
            "db.orders.find({a: [1][f(1)]})",
            "db.orders.deleteOne({}).then(x)",
            "print(db.orders.find(), db.orders.drop())",
            "db.orders.find(",
            "show dbs; quit",
        ] {
            assert_eq!(effects(text), None, "{text}");
        }
    }
}
