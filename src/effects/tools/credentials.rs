//! Accounts, keys, tokens.

use crate::model::effect::Effect::{
    self, ConfigChange, CredentialChange, DataWrite, OneWay, Read, SecurityConfig,
};

use crate::effects::eye::{Cmd, Eye, Stdin};
use crate::effects::options::{Options, Verbs};
use crate::effects::words::Word;

/// Programs that do nothing but change accounts.
pub(super) fn account(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    if cmd.name == "passwd" && cmd.has("-S") || cmd.name == "chage" && cmd.has("-l") || cmd.name == "klist" {
        return eye.see(Read, &line, "account.status");
    }
    eye.see(CredentialChange, &line, "account.change");
    if matches!(cmd.name, "userdel" | "deluser" | "groupdel") {
        eye.see(OneWay, &line, "account.delete");
    }
}

/// `ssh-keygen`: checking reads, making writes.
pub(super) fn ssh_keygen(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let mode = |mode: &str| {
        cmd.args
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a.text == "-Y" && b.text == mode))
    };
    if mode("verify") || mode("check-novalidate") || mode("find-principals") || mode("match-principals") {
        return eye.see(Read, &line, "ssh-keygen.verify");
    }
    let lists = cmd
        .args
        .first()
        .is_some_and(|arg| matches!(arg.text.as_str(), "-l" | "-lf" | "-F" | "-L" | "-Lf" | "-lvf"));
    if lists
        && !cmd
            .args
            .iter()
            .skip(1)
            .any(|arg| arg.text.starts_with("-R") || arg.text.starts_with("-D"))
    {
        return eye.see(Read, &line, "ssh-keygen.lists");
    }
    if mode("sign") {
        return eye.see(DataWrite, &line, "ssh-keygen.sign");
    }
    if cmd.args.iter().any(|arg| super::reads::acts(&arg.text, "-D -w")) {
        eye.unknown(&line, "ssh-keygen.loads-library");
    }
    eye.see(CredentialChange, &line, "ssh-keygen.change");
}

const VAULT: Verbs = Verbs {
    tool: "vault",
    options: Options {
        valued: "-address -namespace -ns -ca-cert -format -field -mount",
        flags: "-no-color -non-interactive",
    },
    rows: &[
        ("status", &[Read]),
        ("version", &[Read]),
        ("read", &[Read]),
        ("list", &[Read]),
        ("kv get", &[CredentialChange]),
        ("kv list", &[Read]),
        ("kv metadata get", &[Read]),
        ("kv put", &[CredentialChange]),
        ("kv patch", &[CredentialChange]),
        ("kv undelete", &[CredentialChange]),
        ("kv rollback", &[CredentialChange]),
        ("kv delete", &[CredentialChange, OneWay]),
        ("kv destroy", &[CredentialChange, OneWay]),
        ("kv metadata delete", &[CredentialChange, OneWay]),
        ("write", &[CredentialChange, ConfigChange]),
        ("delete", &[CredentialChange, OneWay]),
        ("token lookup", &[Read]),
        ("token capabilities", &[Read]),
        ("token", &[CredentialChange]),
        ("lease lookup", &[Read]),
        ("lease", &[CredentialChange]),
        ("login", &[CredentialChange]),
        ("auth list", &[Read]),
        ("auth", &[CredentialChange, SecurityConfig]),
        ("secrets list", &[Read]),
        ("secrets disable", &[CredentialChange, Effect::BulkData, OneWay]),
        ("secrets", &[CredentialChange, ConfigChange]),
        ("policy list", &[Read]),
        ("policy read", &[Read]),
        ("policy", &[SecurityConfig]),
        ("audit list", &[Read]),
        ("audit", &[SecurityConfig]),
        ("operator raft list-peers", &[Read]),
        ("operator raft snapshot save", &[Effect::Protect]),
        (
            "operator raft snapshot restore",
            &[Effect::DataRestore, Effect::BulkData, OneWay],
        ),
        ("operator seal", &[CredentialChange, Effect::Traffic]),
        ("operator", &[CredentialChange, SecurityConfig]),
    ],
};

/// `vault` and `bao`. Reading a dynamic secret makes one.
pub(super) fn vault(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let row = VAULT.look(eye, cmd);
    let makes = cmd.args.iter().any(|arg| {
        arg.text.contains("/creds/") || arg.text.contains("/issue/") || arg.text.contains("/sts/")
    });
    if row == Some("read") && makes {
        eye.see(CredentialChange, &cmd.text(), "vault.read-makes-credential");
    }
    if row == Some("lease") && cmd.has("renew") {
        eye.see(CredentialChange, &cmd.text(), "vault.lease-renew");
    }
}

/// `openssl`: looking at certificates and connections reads.
pub(super) fn openssl(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let verb = cmd.args.first().map_or("", |arg| arg.text.as_str());
    let writes = cmd.args.iter().any(|arg| {
        matches!(
            arg.text.as_str(),
            "-out"
                | "-writerand"
                | "-engine"
                | "-provider"
                | "-CAcreateserial"
                | "-keylogfile"
                | "-sess_out"
                | "-keyout"
        )
    });
    // A connection that is given nothing to say; `echo … |` would be a request.
    const LOOKS: [&str; 14] = [
        "-connect",
        "-servername",
        "-showcerts",
        "-starttls",
        "-CAfile",
        "-CApath",
        "-verify",
        "-brief",
        "-tls1_2",
        "-tls1_3",
        "-alpn",
        "-status",
        "-verify_return_error",
        "-quiet",
    ];
    let silent = matches!(cmd.stdin, Stdin::Bytes(bytes) if bytes.is_empty());
    let plain = |arg: &Word| arg.fixed && (!arg.text.starts_with('-') || LOOKS.contains(&arg.as_str()));
    if verb == "s_client" && silent && cmd.args.iter().skip(1).all(plain) {
        return eye.see(Read, &line, "openssl.connects");
    }
    if matches!(verb, "x509" | "verify" | "version" | "crl" | "dgst" | "asn1parse") && !writes {
        eye.see(Read, &line, "openssl.looks");
    } else if matches!(verb, "genrsa" | "genpkey" | "req" | "ca" | "ecparam") {
        eye.see(CredentialChange, &line, "openssl.makes");
    } else {
        eye.unknown(&line, "openssl.not-known");
    }
}
