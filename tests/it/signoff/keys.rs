//! Every key type: what `ssh-keygen` signs we read, and our word is its word.

use incident::sshsig::{NotCounted, Roster, SigError, Signature, VerifiedKey, verify};

use super::keygen::Bench;

const NS: &str = "signoff@incident-v1";
const ANA: &str = "ana@example.com";
const TEXT: &[u8] = b"incident-signoff v1\nincident: INC-20261122-0314-k7qf\n";
const NOON: i64 = 1_795_348_800_000;

fn check(sig: &[u8], message: &[u8], namespace: &str) -> Result<VerifiedKey, SigError> {
    verify(&Signature::parse(sig)?, message, namespace)
}

#[test]
fn every_key_type_signs_and_every_change_is_refused() {
    let bench = Bench::new();
    let mut kinds: Vec<(&str, &[&str])> = vec![
        ("ed25519", &["-t", "ed25519"]),
        ("p256", &["-t", "ecdsa", "-b", "256"]),
        ("p384", &["-t", "ecdsa", "-b", "384"]),
        ("rsa3072", &["-t", "rsa", "-b", "3072"]),
        ("rsa4096", &["-t", "rsa", "-b", "4096"]),
    ];
    if Bench::has_fido() {
        kinds.push(("sk-ed25519", &["-t", "ed25519-sk"]));
        kinds.push(("sk-p256", &["-t", "ecdsa-sk"]));
    }
    for (name, options) in kinds {
        bench.key(name, options);
        let line = format!("{ANA} {}\n", bench.public(name));
        let roster = Roster::parse(line.as_bytes()).unwrap();
        let sig = bench.sign(name, NS, TEXT);

        let key = check(&sig, TEXT, NS).unwrap();
        assert_eq!(key.algorithm, roster.entries()[0].algorithm, "{name}");
        assert_eq!(roster.who(&key.fingerprint, NS, NOON), Ok(ANA), "{name}");
        assert!(bench.verifies(&line, ANA, NS, &sig, TEXT), "{name}");
        assert_eq!(key.user_presence.is_some(), name.starts_with("sk-"), "{name}");

        let mut changed = TEXT.to_vec();
        changed[30] ^= 1;
        assert_eq!(check(&sig, &changed, NS), Err(SigError::Mismatch), "{name}");
        assert!(!bench.verifies(&line, ANA, NS, &sig, &changed), "{name}");

        let other = bench.sign(name, "git", TEXT);
        assert!(
            matches!(check(&other, TEXT, NS), Err(SigError::Namespace { .. })),
            "{name}"
        );
        assert!(!bench.verifies(&line, ANA, NS, &other, TEXT), "{name}");
    }
}

#[test]
fn touch_and_pin_are_read_where_ssh_keygen_looks_away() {
    if !Bench::has_fido() {
        return;
    }
    let bench = Bench::new();
    for kind in ["ed25519-sk", "ecdsa-sk"] {
        for (option, touched, verified) in [
            (None, true, false),
            (Some("no-touch-required"), false, false),
            (Some("verify-required"), true, true),
        ] {
            let name = format!("{kind}-{}", option.unwrap_or("plain"));
            let mut options = vec!["-t", kind];
            options.extend(option.map(|o| ["-O", o]).into_iter().flatten());
            bench.key(&name, &options);
            let sig = bench.sign(&name, NS, TEXT);
            let key = check(&sig, TEXT, NS).unwrap();
            assert_eq!(key.user_presence, Some(touched), "{name}");
            assert_eq!(key.user_verified, Some(verified), "{name}");
            assert!(key.counter.is_some(), "{name}");
            let line = format!("{ANA} {}\n", bench.public(&name));
            assert!(bench.verifies(&line, ANA, NS, &sig, TEXT), "{name}");
        }
    }
}

#[test]
fn weak_rsa_and_p521_are_refused_by_name() {
    let bench = Bench::new();
    bench.key("weak", &["-t", "rsa", "-b", "2048"]);
    assert_eq!(
        check(&bench.sign("weak", NS, TEXT), TEXT, NS),
        Err(SigError::WeakRsa { bits: 2048 })
    );
    bench.key("short", &["-t", "rsa", "-b", "3070"]);
    assert_eq!(
        check(&bench.sign("short", NS, TEXT), TEXT, NS),
        Err(SigError::WeakRsa { bits: 3070 })
    );
    bench.key("big", &["-t", "ecdsa", "-b", "521"]);
    assert!(matches!(
        check(&bench.sign("big", NS, TEXT), TEXT, NS),
        Err(SigError::Unsupported(_))
    ));
}

#[test]
fn a_signature_survives_the_chat_but_no_flipped_bit() {
    let bench = Bench::new();
    bench.key("ana", &["-t", "ed25519"]);
    let sig = bench.sign("ana", NS, TEXT);
    let text = String::from_utf8(sig.clone()).unwrap();
    let indented = text.replace('\n', "\r\n  ");
    assert!(check(indented.as_bytes(), TEXT, NS).is_ok());
    assert_eq!(Signature::parse(indented.as_bytes()).unwrap().armoured(), text);
    let body = text.find('\n').unwrap() + 1;
    for at in body..text.len() - 30 {
        let mut bent = sig.clone();
        bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
        if bent != sig {
            assert!(check(&bent, TEXT, NS).is_err(), "byte {at}");
        }
    }
}

/// Rosters in every shape: who counts for us also counts for `ssh-keygen`, and the other way round
/// except where we refuse on purpose.
#[test]
fn rosters_mean_the_same_to_ssh_keygen() {
    let bench = Bench::new();
    bench.key("ana", &["-t", "ed25519"]);
    bench.key("ben", &["-t", "ed25519"]);
    let (ana, ben) = (bench.public("ana"), bench.public("ben"));
    let sig = bench.sign("ana", NS, TEXT);
    let fingerprint = check(&sig, TEXT, NS).unwrap().fingerprint;
    for (roster, counts) in [
        (format!("{ANA} {ana}\n"), true),
        (format!("{ANA} {ana} with a comment\n"), true),
        (format!("# team\n\n  {ANA}\t{ana}\n"), true),
        (format!("\"{ANA}\" {ana}\n"), true),
        (format!("{ANA} namespaces=\"{NS}\" {ana}\n"), true),
        (format!("{ANA} NAMESPACES=\"file,{NS}\" {ana}\n"), true),
        (format!("{ANA} namespaces=\"signoff@*\" {ana}\n"), true),
        (format!("{ANA} namespaces=\"*,!signoff@*\" {ana}\n"), false),
        (format!("{ANA} namespaces=\"file\" {ana}\n"), false),
        (format!("{ANA} namespaces=\"\" {ana}\n"), false),
        (format!("{ANA} namespaces=\"x\\\",{NS}\" {ana}\n"), true),
        (format!("{ANA} namespaces=\"{NS},\\\\\" {ana}\n"), false),
        (format!("{ANA} valid-after=\"20200101Z\" {ana}\n"), true),
        (format!("{ANA} valid-after=\"20990101Z\" {ana}\n"), false),
        (format!("{ANA} valid-before=\"209901010000Z\" {ana}\n"), true),
        (format!("{ANA} valid-before=\"20200101235959Z\" {ana}\n"), false),
        (format!("{ANA} namespaces=\"file\" {ana}\n{ANA} {ana}\n"), true),
        (format!("{ANA} {ben}\n"), false),
        (format!("ben@example.com {ana}\n"), false),
        (format!("{ANA} cert-authority {ana}\n"), false),
        (format!("{ANA} colour=\"blue\" {ana}\n"), false),
        (format!("{ANA} namespaces={NS} {ana}\n"), false),
        (String::new(), false),
    ] {
        let ours = Roster::parse(roster.as_bytes()).is_ok_and(|r| r.who(&fingerprint, NS, NOON) == Ok(ANA));
        assert_eq!(ours, counts, "{roster}");
        assert_eq!(
            bench.verifies(&roster, ANA, NS, &sig, TEXT),
            counts,
            "ssh-keygen: {roster}"
        );
    }
    // What ssh-keygen lets through and we do not.
    let wild = format!("*@example.com {ana}\n");
    let two = format!("{ANA},kim@vendor.example {ana}\n");
    let local = format!("{ANA} valid-after=\"20200101\" {ana}\n");
    for roster in [&wild, &two, &local] {
        assert!(bench.verifies(roster, ANA, NS, &sig, TEXT), "{roster}");
    }
    let who = |text: &str| {
        let roster = Roster::parse(text.as_bytes()).unwrap();
        roster.who(&fingerprint, NS, NOON).map(str::to_owned)
    };
    assert!(matches!(who(&wild), Err(NotCounted::Wildcard { .. })));
    assert!(matches!(who(&two), Err(NotCounted::SeveralNames { .. })));
    assert!(Roster::parse(local.as_bytes()).is_err());
}

/// Signatures bent at one place each: what we take `ssh-keygen` takes, and the other way round.
#[test]
fn no_bent_signature_is_taken_that_ssh_keygen_refuses() {
    let bench = Bench::new();
    let mut kinds: Vec<(&str, &[&str])> = vec![
        ("ed25519", &["-t", "ed25519"]),
        ("p256", &["-t", "ecdsa", "-b", "256"]),
        ("p384", &["-t", "ecdsa", "-b", "384"]),
        ("rsa", &["-t", "rsa", "-b", "3072"]),
    ];
    if Bench::has_fido() {
        kinds.push(("sk-ed25519", &["-t", "ed25519-sk"]));
        kinds.push(("sk-p256", &["-t", "ecdsa-sk"]));
    }
    kinds.push(("certified", &["-t", "ed25519"]));
    bench.key("authority", &["-t", "ed25519"]);
    // A fixed sequence: the same bends in every run.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    let mut taken = 0;
    for (name, options) in kinds {
        bench.key(name, options);
        let mut line = format!("{ANA} {}\n", bench.public(name));
        let mut signer = name.to_owned();
        if name == "certified" {
            bench.certify("authority", name, &["-I", "x", "-n", ANA]);
            line = format!("{ANA} cert-authority {}\n", bench.public("authority"));
            signer = "certified-cert.pub".into();
        }
        let roster = Roster::parse(line.as_bytes()).unwrap();
        let good = bench.sign(&signer, NS, TEXT);
        let blob = unwrapped(&good);
        for round in 0..45 {
            let mut bent = blob.clone();
            let at = random(bent.len());
            match round % 5 {
                0 if round == 0 => {}
                0 => bent.truncate(at),
                1 => bent.insert(at, u8::try_from(random(256)).unwrap()),
                2 => bent[at] = bent[at].wrapping_add(1),
                3 => bent.extend([0; 4]),
                _ => bent[at] ^= 1 << random(8),
            }
            let text = wrapped(&bent);
            let ours =
                check(text.as_bytes(), TEXT, NS).is_ok_and(|k| roster.who_signed(&k, NS, NOON).is_ok());
            let theirs = bench.verifies(&line, ANA, NS, text.as_bytes(), TEXT);
            taken += u32::from(ours);
            assert!(
                !ours || theirs,
                "{name}, bent at {at} in round {round}: we took it\n{text}"
            );
            // Four zeros after the end are the one thing that ssh-keygen looks past.
            assert!(
                ours || !theirs || round % 5 == 3,
                "{name}, bent at {at} in round {round}: only we refused it\n{text}"
            );
        }
    }
    assert!(taken >= 5, "the unbent ones are among them");
}

fn unwrapped(armour: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let text = std::str::from_utf8(armour).unwrap();
    let body: String = text.lines().filter(|l| !l.starts_with('-')).collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap()
}

fn wrapped(blob: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(blob);
    let lines: Vec<String> = body
        .as_bytes()
        .chunks(70)
        .map(|l| String::from_utf8_lossy(l).into_owned())
        .collect();
    format!(
        "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
        lines.join("\n")
    )
}
