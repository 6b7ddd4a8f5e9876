//! Readers of records and signatures.

use incident::drill::{self, Player};
use incident::engine::compare_mirror;
use incident::journal::{Chain, Hash, Head, Record, kind_of, lines, parts};
use incident::model::event::Event;
use incident::model::ids::IncidentId;
use incident::model::incident::{At, Incident};
use incident::model::recipient::SealKey;
use incident::signoff::{Claim, Delegation, Statement, signature_in, statement_in, wrap};
use incident::sshsig::{Revoked, Roster, Signature, verify};
use incident::store::Store;
use serde_json::Value;

use super::mutant::{Mutant, Random};
use super::{as_is, feed};
use crate::support::network_world;

/// A whole incident, as its drill wrote it: the one seed that holds nearly every kind of record.
fn journal() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().to_owned());
    let played = drill::run("nine-seconds", Player::Careful, 1, &store).unwrap();
    std::fs::read(folder.path().join(played.id.as_str()).join("journal.jsonl")).unwrap()
}

/// Links mutated lines again, so that what is behind the first broken link is read as well.
fn link(random: &mut Random, input: Vec<u8>) -> Vec<u8> {
    if random.one_in(3) {
        return input;
    }
    let mut chain = Chain::default();
    let mut out = Vec::new();
    for line in lines(&input) {
        let Ok(record) = serde_json::from_slice::<Record>(line) else {
            out.extend(line);
            continue;
        };
        match chain.write(&record.ts, &record.kind, record.v, record.what, &record.who) {
            Ok(line) => out.extend(line),
            Err(_) => out.extend(line),
        }
    }
    out
}

#[test]
#[ignore = "runs in a process of its own"]
fn journal_lines() {
    let mutant = Mutant::new(
        [journal()],
        &[
            "\"prev\":\"",
            "\"seq\":",
            "\"ts\":\"",
            "\"type\":\"",
            "\"v\":1",
            "\"what\":{",
            "\"who\":\"",
        ],
    );
    feed("journal lines", &mutant, link, |input| {
        let mut chain = Chain::default();
        for line in lines(input) {
            let before = chain;
            let kind = kind_of(line).map(str::to_owned);
            let Ok(read) = chain.check_line(line) else {
                assert!(before == chain, "a refused line moves nothing");
                break;
            };
            let record = read.record().unwrap();
            // The quick look hands out a kind as it is spelt; no kind we know has a letter that is spelt otherwise.
            let kind = kind.unwrap();
            assert!(
                kind == record.kind
                    || (kind.contains('\\')
                        && record
                            .kind
                            .contains(|c: char| !(c.is_ascii_lowercase() || c == '.' || c == '-')))
            );
            assert_eq!(parts(line).map(|l| l.record().unwrap()), Some(record.clone()));
            // What is accepted is what would be written.
            let mut again = before;
            let written = again
                .write(&record.ts, &record.kind, record.v, record.what, &record.who)
                .unwrap();
            assert!(written == line && again == chain);
            assert_eq!(chain.head, Hash::of(line));
        }
    });
}

/// Records whose chain holds and whose meaning is anything: the fold refuses or follows, and never falls over.
#[test]
#[ignore = "runs in a process of its own"]
fn journal_events() {
    let mutant = Mutant::new(
        [journal()],
        &[
            "\"targets\":[",
            "\"items\":[",
            "\"step\":\"",
            "\"facts\":[",
            "\"proof\":\"",
        ],
    );
    feed("journal events", &mutant, link, |input| {
        let mut chain = Chain::default();
        let mut state: Option<Incident> = None;
        for line in lines(input) {
            let Ok(read) = chain.check_line(line) else { break };
            let Ok(event) = Event::decode_text(&read.kind, read.v, &read.what) else {
                continue;
            };
            assert_eq!((event.kind(), event.version()), (&*read.kind, read.v));
            let what: Value = read.read().unwrap();
            assert_eq!(
                Event::decode(&read.kind, read.v, &what),
                Ok(event.clone()),
                "text and tree read alike"
            );
            let at = At {
                seq: read.seq,
                ts: &read.ts,
                who: &read.who,
                line_sha256: &read.hash,
            };
            if Incident::apply(&mut state, &at, event).is_err() {
                break;
            }
        }
    });
}

#[test]
#[ignore = "runs in a process of its own"]
fn signatures() {
    let message = b"the bytes that were signed";
    let seeds = crate::evidence::signatures(message);
    let original: Vec<String> = seeds
        .iter()
        .map(|s| Signature::parse(s).unwrap().armoured())
        .collect();
    let mutant = Mutant::new(
        seeds,
        &[
            "-----BEGIN SSH SIGNATURE-----\n",
            "-----END SSH SIGNATURE-----\n",
            "U1NIU0lH",
            "AAAA",
        ],
    );
    feed("signatures", &mutant, as_is, |input| {
        let Ok(signature) = Signature::parse(input) else {
            return;
        };
        let armoured = signature.armoured();
        assert_eq!(
            Signature::parse(armoured.as_bytes()).unwrap().armoured(),
            armoured
        );
        for namespace in ["seal@incident-v1", "signoff@incident-v1", signature.namespace()] {
            if verify(&signature, message, namespace).is_ok() {
                assert!(
                    original.contains(&armoured),
                    "a signature nobody made: {armoured}"
                );
            }
            assert!(verify(&signature, b"something else", namespace).is_err());
        }
    });
}

#[test]
#[ignore = "runs in a process of its own"]
fn rosters() {
    let own = crate::evidence::roster();
    let words = [
        "namespaces=\"",
        "valid-before=\"20270101Z\" ",
        "valid-after=\"",
        "cert-authority ",
        "ssh-ed25519 ",
        "*",
        "!",
        ",",
    ];
    let dressed = String::from_utf8(own.clone()).unwrap().replacen(
        " ssh",
        " namespaces=\"signoff@*,!x\",valid-before=\"20270101Z\" ssh",
        1,
    );
    let mutant = Mutant::new([own, dressed.into_bytes()], &words);
    feed("rosters", &mutant, as_is, |input| {
        let rows = u32::try_from(input.split(|b| *b == b'\n').count()).unwrap();
        match Roster::parse(input) {
            Err(mistakes) => {
                assert!(!mistakes.is_empty());
                assert!(
                    mistakes.iter().all(|m| (1..=rows).contains(&m.place.line)),
                    "{mistakes:?}"
                );
            }
            Ok(roster) => {
                for entry in roster.entries() {
                    assert!((1..=rows).contains(&entry.line) && !entry.principals.is_empty());
                    // Whoever counts is named by a line of this very key, and by one that is no pattern.
                    if let Ok(who) = roster.who(&entry.fingerprint, "signoff@incident-v1", 1_795_348_800_000)
                    {
                        assert!(roster.keys_of(who).any(|key| key == entry.fingerprint));
                        assert!(!who.contains(['*', '?', '!', ',']), "{who}");
                    }
                }
            }
        }
    });
}

/// A list of keys, and a KRL by key, by number, by range and by bits, as `ssh-keygen -k` writes them.
#[test]
#[ignore = "runs in a process of its own"]
fn revocations() {
    let keys: String = String::from_utf8(crate::evidence::roster())
        .unwrap()
        .lines()
        .filter_map(|line| Some(format!("{}\n", line.get(line.find("ssh-")?..)?)))
        .collect();
    let text = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
    let section = |kind: u8, body: &[u8]| [&[kind][..], &text(body)].concat();
    let number = |n: u64| n.to_be_bytes();
    let head = [
        &b"SSHKRL\n\0"[..],
        &1u32.to_be_bytes(),
        &number(1),
        &number(2),
        &number(0),
        &text(b""),
        &text(b"x"),
    ]
    .concat();
    let serials = [
        text(b""),
        text(b""),
        section(0x20, &[number(7), number(9)].concat()),
        section(0x21, &[number(20), number(30)].concat()),
        section(0x22, &[&number(40)[..], &text(&[0x05])].concat()),
        section(0x23, &text(b"ana")),
    ];
    let krl = [
        head.clone(),
        section(1, &serials.concat()),
        section(5, &text(&[7; 32])),
        section(2, &text(b"key")),
    ]
    .concat();
    assert!(Revoked::parse(&krl).is_ok() && Revoked::parse(keys.as_bytes()).is_ok());
    let mutant = Mutant::new(
        [krl, head, keys.into_bytes()],
        &["SSHKRL\n\0", "ssh-ed25519 AAAA", "#"],
    );
    feed("revocations", &mutant, as_is, |input| {
        // Nobody whom no list names is revoked by one.
        if let Ok(revoked) = Revoked::parse(input) {
            assert!(!revoked.has("SHA256:nobody"));
        }
    });
}

/// What comes back out of a chat: statements and signatures between other words; heads, and keys of readers.
#[test]
#[ignore = "runs in a process of its own"]
fn pastes() {
    let statement = "incident: INC-20261122-0314-k7qf\nstep: restore\ndecision: approve\n".repeat(5);
    let signature = String::from_utf8(crate::evidence::signatures(b"x").remove(0)).unwrap();
    let quoted: String = wrap(&statement)
        .lines()
        .map(|line| format!("> {line}\r\n"))
        .collect();
    let head = format!("incident-head v1 INC-20261122-0314-k7qf 42 {}\n", Hash::of(b"x"));
    let reader = "age16wyr9w4wccswf8fckhn2npt084w8wpz5ad6syqydprxm5aafcyqsr2dtvv".to_owned();
    let seeds = [
        wrap(&statement),
        format!("ben wrote:\n```\n{quoted}```\nok?"),
        signature,
        head,
        reader,
    ];
    let words = [
        "-----BEGIN",
        "-----END",
        "> ",
        "| ",
        "```",
        "\r\n",
        "age1",
        "ssh-ed25519 ",
    ];
    let mutant = Mutant::new(seeds, &words);
    let whole = wrap(&statement);
    feed("pastes", &mutant, as_is, |input| {
        if let Ok(found) = statement_in(input) {
            // What is read out of a block is what a block of it would hold.
            if let Ok(text) = std::str::from_utf8(&found) {
                assert_eq!(statement_in(wrap(text).as_bytes()).unwrap(), found);
            }
            if input == whole.as_bytes() {
                assert_eq!(found, statement.as_bytes());
            }
        }
        if let Ok(Some(found)) = signature_in(input) {
            let _ = Signature::parse(found.as_bytes());
        }
        if let Some(head) = Head::parse(input) {
            assert_eq!(head.line().as_bytes(), input);
        }
        if let Ok(text) = std::str::from_utf8(input)
            && let Ok(key) = SealKey::parse(text)
        {
            assert_eq!(SealKey::parse(key.as_str()).unwrap(), key);
        }
    });
}

#[test]
#[ignore = "runs in a process of its own"]
fn statements() {
    let statement = crate::signoff::attacks::statement();
    let seeds = [
        statement.render(),
        statement
            .for_decision(incident::signoff::Decision::Refuse)
            .render(),
    ];
    let words = [
        "head-seq: ",
        "decision: approve\n",
        "act:",
        "expires: ",
        "target: ",
        "\\u{202e}",
        "\\n",
    ];
    let mutant = Mutant::new(seeds, &words);
    feed("statements", &mutant, as_is, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        if let Ok(read) = Statement::parse(text) {
            assert_eq!(read.render(), text, "two texts would mean the same");
        }
    });
}

/// What lends a role and what a responder claims has one spelling each.
#[test]
#[ignore = "runs in a process of its own"]
fn lent_roles_and_claims() {
    let lent = Delegation {
        incident: Some(IncidentId::new("INC-20261122-0314-k7qf").unwrap()),
        drill: false,
        role: "on-call lead".to_owned(),
        from: "ana@example.com".to_owned(),
        to: "ben@example.com".to_owned(),
        from_ms: 1_795_348_800_000,
        until_ms: 1_795_352_400_000,
        nonce: "0123456789abcdef".repeat(2),
    };
    let claim = Claim {
        incident: IncidentId::new("INC-20261122-0314-k7qf").unwrap(),
        name: "root".to_owned(),
        head_seq: 41,
        head_hash: Hash::of(b"x").to_string(),
    };
    let words = [
        "incident: any\n",
        "drill: yes\n",
        "role: ",
        "valid-until: ",
        "acted-as: ",
        "\\u{202e}",
        "\"",
        "\\n",
    ];
    let mutant = Mutant::new([lent.render(), claim.render()], &words);
    feed("lent roles and claims", &mutant, as_is, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        if let Some(read) = Delegation::parse(text) {
            assert_eq!(read.render(), text, "two texts would mean the same");
        }
        if let Some(read) = Claim::parse(text) {
            assert_eq!(read.render(), text, "two texts would mean the same");
        }
    });
}

/// A copy of the record as it comes back from a place that may be anybody's.
#[test]
#[ignore = "runs in a process of its own"]
fn mirrors() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().to_owned());
    let played = drill::run("nine-seconds", Player::Careful, 1, &store).unwrap();
    let journal = std::fs::read(folder.path().join(played.id.as_str()).join("journal.jsonl")).unwrap();
    let here: Vec<&[u8]> = lines(&journal).collect();
    let (world, case) = (network_world(), store.open_case(&played.id).unwrap());
    let copy = folder.path().join("copy.jsonl");
    let mutant = Mutant::new([journal.clone()], &["\"prev\":\"", "\"seq\":"]);
    feed("mirrors", &mutant, link, |input| {
        std::fs::write(&copy, input).unwrap();
        let said = compare_mirror(&world, &case, &copy).unwrap();
        // What is called the same is the same, byte for byte.
        let same = usize::try_from(said.same).unwrap();
        assert_eq!(said.here, here.len() as u64);
        assert!(same <= here.len() && said.there >= said.same);
        let mut first = Vec::new();
        for line in lines(input) {
            // A line that is there twice says nothing new.
            if !first.contains(&line) {
                first.push(line);
            }
        }
        assert!(here[..same].iter().all(|line| first.contains(line)));
        let whole = said.same == said.here && said.differs.is_none();
        assert!(!whole || first.len() >= here.len());
    });
}
