//! Keys that an SSH authority vouches for, and lists that take its word back: our word is `ssh-keygen`'s word.

use incident::sshsig::{NotCounted, Revoked, RevokedError, Roster, SigError, Signature, VerifiedKey, verify};

use super::keygen::Bench;

const NS: &str = "signoff@incident-v1";
const ANA: &str = "ana@example.com";
const TEXT: &[u8] = b"incident-signoff v1\n";
const NOON: i64 = 1_795_348_800_000;

fn check(sig: &[u8]) -> Result<VerifiedKey, SigError> {
    verify(&Signature::parse(sig)?, TEXT, NS)
}

/// A bench with an authority, another one, and a key to vouch for.
fn bench() -> Bench {
    let bench = Bench::new();
    for name in ["authority", "other", "held"] {
        bench.key(name, &["-t", "ed25519"]);
    }
    bench
}

#[test]
fn a_certificate_counts_for_its_one_name_while_it_is_valid() {
    let bench = bench();
    let authority = bench.public("authority");
    let line = |names: &str, options: &str| format!("{names} cert-authority{options} {authority}\n");
    let any = line("*@example.com", "");
    let ana = ["-I", "ana-laptop", "-n", ANA];
    let with = |more: &[&'static str]| [&ana[..], more].concat();
    let cases: Vec<(Vec<&str>, String, bool)> = vec![
        (with(&[]), any.clone(), true),
        (with(&[]), line(ANA, ""), true),
        (with(&["-z", "77", "-V", "20200101:20990101"]), any.clone(), true),
        (
            with(&[]),
            line("*@example.com", &format!(",namespaces=\"{NS}\"")),
            true,
        ),
        (with(&[]), line("*@example.com", ",namespaces=\"git\""), false),
        (
            with(&[]),
            line("*@example.com", ",valid-before=\"20200101Z\""),
            false,
        ),
        (with(&[]), line("ben@example.com", ""), false),
        (with(&[]), line("*@example.com,!ana@example.com", ""), false),
        (with(&[]), format!("*@example.com {authority}\n"), false),
        (
            with(&[]),
            format!("*@example.com cert-authority {}\n", bench.public("other")),
            false,
        ),
        (with(&[]), format!("{ANA} {}\n", bench.public("held")), false),
        (with(&["-V", "20200101:20200201"]), any.clone(), false),
        (with(&["-V", "20980101:20990101"]), any.clone(), false),
        (vec!["-I", "x", "-n", "ben@example.com"], any.clone(), false),
        (vec!["-I", "x"], any.clone(), false),
        (with(&["-h"]), any.clone(), false),
    ];
    for (options, roster, counts) in &cases {
        bench.certify("authority", "held", options);
        let sig = bench.sign("held-cert.pub", NS, TEXT);
        let ours = check(&sig).ok().and_then(|key| {
            Roster::parse(roster.as_bytes())
                .unwrap()
                .who_signed(&key, NS, NOON)
                .ok()
        });
        assert_eq!(
            ours.as_deref() == Some(ANA),
            *counts,
            "{options:?} {roster}: {ours:?}"
        );
        assert_eq!(
            bench.verifies(roster, ANA, NS, &sig, TEXT),
            *counts,
            "ssh-keygen: {options:?} {roster}"
        );
    }
    let who = |options: &[&str], roster: &str| {
        bench.certify("authority", "held", options);
        let key = check(&bench.sign("held-cert.pub", NS, TEXT))?;
        Ok::<_, SigError>(
            Roster::parse(roster.as_bytes())
                .unwrap()
                .who_signed(&key, NS, NOON),
        )
    };
    // What ssh-keygen lets through and we do not: two names for one key, and a restriction it looks past.
    let two = who(&["-I", "x", "-n", "ana@example.com,ben@example.com"], &any);
    assert!(matches!(two, Ok(Err(NotCounted::SeveralNames { .. }))), "{two:?}");
    let also = format!("{any}ben@example.com {}\n", bench.public("held"));
    assert!(matches!(
        who(&ana, &also),
        Ok(Err(NotCounted::SeveralNames { .. }))
    ));
    let limited = who(&with(&["-O", "force-command=true"]), &any);
    assert_eq!(
        limited,
        Err(SigError::CertificateOf("a key for one command only"))
    );
    assert!(matches!(who(&ana, ""), Ok(Err(NotCounted::Certificate { .. }))));
    assert_eq!(
        who(&["-I", "x", "-h", "-n", ANA], &any),
        Err(SigError::CertificateOf("a host, not of a person"))
    );
}

#[test]
fn every_kind_of_authority_vouches_for_every_kind_of_key() {
    let bench = bench();
    let mut kinds: Vec<(&str, &[&str])> = vec![
        ("ed", &["-t", "ed25519"]),
        ("p256", &["-t", "ecdsa", "-b", "256"]),
        ("p384", &["-t", "ecdsa", "-b", "384"]),
        ("rsa", &["-t", "rsa", "-b", "3072"]),
    ];
    if Bench::has_fido() {
        kinds.push(("sk-ed", &["-t", "ed25519-sk"]));
        kinds.push(("sk-p256", &["-t", "ecdsa-sk"]));
    }
    for (name, options) in &kinds {
        bench.key(name, options);
    }
    let pairs = kinds.iter().flat_map(|(a, _)| [(*a, "held"), ("authority", *a)]);
    for (authority, held) in pairs {
        bench.certify(authority, held, &["-I", "x", "-n", ANA]);
        let roster = format!("{ANA} cert-authority {}\n", bench.public(authority));
        let sig = bench.sign(&format!("{held}-cert.pub"), NS, TEXT);
        let key = check(&sig).unwrap_or_else(|e| panic!("{authority} for {held}: {e}"));
        let who = Roster::parse(roster.as_bytes())
            .unwrap()
            .who_signed(&key, NS, NOON);
        assert_eq!(who.as_deref(), Ok(ANA), "{authority} for {held}");
        assert!(
            key.algorithm.ends_with("-cert-v01@openssh.com"),
            "{}",
            key.algorithm
        );
        assert!(
            bench.verifies(&roster, ANA, NS, &sig, TEXT),
            "{authority} for {held}"
        );
    }
}

#[test]
fn what_a_list_takes_back_no_longer_counts() {
    let bench = bench();
    bench.certify("authority", "held", &["-I", "ana-laptop", "-z", "77", "-n", ANA]);
    let sig = bench.sign("held-cert.pub", NS, TEXT);
    let roster = format!("{ANA} cert-authority {}\n", bench.public("authority"));
    let key = check(&sig).unwrap();
    let held = bench.public("held");
    let sparse: String = (0..60).map(|n| format!("serial: {}\n", 41 + n * 3)).collect();
    let dense: String = (0..60).map(|n| format!("serial: {}\n", 40 + n * 3)).collect();
    for (by, spec, revoked) in [
        ("authority", "serial: 77\n".to_owned(), true),
        ("authority", "serial: 76\nserial: 78-100\n".to_owned(), false),
        ("authority", "serial: 70-80\n".to_owned(), true),
        ("authority", sparse, true),
        ("authority", dense, false),
        ("authority", "id: ana-laptop\n".to_owned(), true),
        ("authority", "id: ana-lapto\n".to_owned(), false),
        ("other", "serial: 77\nid: ana-laptop\n".to_owned(), false),
        ("authority", format!("key: {held}\n"), true),
        ("authority", format!("sha256: {held}\n"), true),
        ("authority", format!("key: {}\n", bench.public("authority")), true),
        ("authority", format!("key: {}\n", bench.public("other")), false),
        ("authority", String::new(), false),
    ] {
        let krl = bench.krl(by, &spec);
        let ours = Revoked::parse(&krl).unwrap().has_key(&key);
        assert_eq!(ours, revoked, "{by}: {spec}");
        let theirs = !bench.verifies_unless(&krl, &roster, ANA, NS, &sig, TEXT);
        assert_eq!(theirs, revoked, "ssh-keygen: {by}: {spec}");
        for cut in [krl.len() - 1, krl.len() / 2 + 20] {
            let part = Revoked::parse(krl.get(..cut).unwrap_or(&krl));
            assert!(
                part.is_err() || part == Revoked::parse(&krl) || cut < 60,
                "{spec}: cut at {cut}"
            );
        }
    }
    let sha1 = bench.krl("authority", &format!("sha1: {held}\n"));
    assert_eq!(
        Revoked::parse(&sha1),
        Err(RevokedError::Unsupported("SHA-1 fingerprints"))
    );
    // A list of plain keys, and a certificate without a number.
    let plain = Revoked::parse(format!("{held}\n").as_bytes()).unwrap();
    assert!(plain.has_key(&key));
    bench.certify("authority", "held", &["-I", "ana-laptop", "-n", ANA]);
    let unnumbered = check(&bench.sign("held-cert.pub", NS, TEXT)).unwrap();
    let zero = Revoked::parse(&bench.krl("authority", "serial: 70-80\n")).unwrap();
    assert!(!zero.has_key(&unnumbered));
}
