//! `docker`, `podman` and `compose`.

use crate::model::effect::Effect::{
    self, BulkData, ConfigChange, ConfigRollback, CredentialChange, DataWrite, Deploy, InfraChange, OneWay,
    Protect, Read, ServiceRestart, Traffic, Unknown,
};

use crate::effects::eye::{Cmd, Eye};
use crate::effects::options::{Options, Verbs};
use crate::effects::words::Word;
use crate::effects::wrappers;

const DOCKER: Verbs = Verbs {
    tool: "docker",
    options: Options {
        valued: "-H --host -c --context -l --log-level --config",
        flags: "-D --debug --tls --version",
    },
    rows: &[
        ("ps", &[Read]),
        ("images", &[Read]),
        ("logs", &[Read]),
        ("inspect", &[Read]),
        ("stats", &[Read]),
        ("top", &[Read]),
        ("info", &[Read]),
        ("version", &[Read]),
        ("diff", &[Read]),
        ("port", &[Read]),
        ("events", &[Read]),
        ("history", &[Read]),
        ("system df", &[Read]),
        ("system info", &[Read]),
        ("system prune", &[BulkData, OneWay]),
        ("container ls", &[Read]),
        ("container inspect", &[Read]),
        ("container logs", &[Read]),
        ("container prune", &[DataWrite, OneWay]),
        ("container rm", &[DataWrite, OneWay]),
        ("image ls", &[Read]),
        ("image inspect", &[Read]),
        ("image prune", &[DataWrite, OneWay]),
        ("image rm", &[DataWrite, OneWay]),
        ("rmi", &[DataWrite, OneWay]),
        ("volume ls", &[Read]),
        ("volume inspect", &[Read]),
        ("volume create", &[InfraChange]),
        ("volume rm", &[BulkData, OneWay]),
        ("volume prune", &[BulkData, OneWay]),
        ("network ls", &[Read]),
        ("network inspect", &[Read]),
        ("network disconnect", &[Traffic]),
        ("network connect", &[Traffic]),
        ("network", &[InfraChange]),
        ("restart", &[ServiceRestart]),
        ("start", &[ServiceRestart]),
        ("stop", &[ServiceRestart, Traffic]),
        ("kill", &[ServiceRestart, Traffic]),
        ("pause", &[Traffic]),
        ("unpause", &[Traffic]),
        ("commit", &[Protect]),
        ("rm", &[DataWrite, OneWay]),
        ("run", &[Deploy, Unknown]),
        ("create", &[Deploy, Unknown]),
        ("build", &[Unknown]),
        ("pull", &[DataWrite]),
        ("push", &[Deploy]),
        ("tag", &[DataWrite]),
        ("cp", &[DataWrite]),
        ("update", &[ConfigChange]),
        ("login", &[CredentialChange]),
        ("logout", &[CredentialChange]),
        ("secret", &[CredentialChange]),
        ("service ls", &[Read]),
        ("service ps", &[Read]),
        ("service rollback", &[ConfigRollback]),
        ("service update", &[Deploy]),
        ("service scale", &[Traffic]),
        ("service rm", &[InfraChange, OneWay]),
        ("stack rm", &[InfraChange, OneWay]),
        ("stack deploy", &[Deploy]),
        ("swarm", &[InfraChange]),
        ("node ls", &[Read]),
        ("exec", &[]),
        ("container exec", &[]),
        ("compose exec", &[]),
        ("compose ps", &[Read]),
        ("compose ls", &[Read]),
        ("compose logs", &[Read]),
        ("compose config", &[Read]),
        ("compose top", &[Read]),
        ("compose images", &[Read]),
        ("compose restart", &[ServiceRestart]),
        ("compose start", &[ServiceRestart]),
        ("compose stop", &[ServiceRestart, Traffic]),
        ("compose kill", &[ServiceRestart, Traffic]),
        ("compose pause", &[Traffic]),
        ("compose up", &[Deploy]),
        ("compose pull", &[DataWrite]),
        ("compose down", &[InfraChange, Traffic]),
        ("compose rm", &[DataWrite, OneWay]),
        ("compose run", &[Deploy, Unknown]),
        ("compose build", &[Unknown]),
        ("compose create", &[Deploy]),
        ("compose cp", &[DataWrite]),
    ],
};

const COMPOSE: Options = Options {
    valued: "-f --file -p --project-name --profile --env-file --project-directory --ansi --progress --parallel",
    flags: "--compatibility --all-resources",
};

/// `docker`, `podman`, `nerdctl` and their `compose`.
pub(super) fn docker(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    if cmd.name.ends_with("-compose") {
        let mut args = vec![Word::fixed("compose")];
        args.extend_from_slice(cmd.args);
        return docker(
            eye,
            &Cmd {
                name: "docker",
                program: "docker",
                args: &args,
                stdin: cmd.stdin,
            },
        );
    }
    // `compose` has options of its own in front of its verb.
    if let Some(at) = cmd.args.iter().position(|arg| arg.text == "compose")
        && let (width @ 1.., true) = COMPOSE.skip(cmd.args.get(at + 1..).unwrap_or_default())
    {
        let mut args = cmd.args.to_vec();
        args.drain(at + 1..at + 1 + width);
        return docker(eye, &Cmd { args: &args, ..*cmd });
    }
    let Some(row) = DOCKER.look(eye, cmd) else { return };
    let forced = cmd
        .args
        .iter()
        .any(|arg| matches!(arg.text.as_str(), "-v" | "--volumes" | "-fv" | "-vf" | "-rfv"));
    match row {
        "exec" | "container exec" | "compose exec" => {
            let at = cmd
                .args
                .iter()
                .position(|arg| arg.text == "exec")
                .map_or(0, |at| at + 1);
            wrappers::container_exec(eye, cmd, cmd.args.get(at..).unwrap_or_default());
        }
        "compose down" | "rm" | "compose rm" | "container rm" if forced => {
            eye.see_all(&[BulkData, OneWay], &line, "docker.removes-volumes")
        }
        "compose down" if cmd.args.iter().any(|arg| arg.text.starts_with("--rmi")) => {
            eye.see(Effect::OneWay, &line, "docker.removes-images");
        }
        "compose run" => {
            wrappers::suspects(eye, cmd, cmd.args.get(2..).unwrap_or_default());
        }
        "run" | "create" => {
            // The image's program is not known; the words behind it are looked at all the same.
            let at = cmd
                .args
                .iter()
                .position(|arg| arg.text == row)
                .map_or(0, |at| at + 1);
            for start in at..cmd.args.len().min(at + 12) {
                eye.command(cmd.args.get(start..).unwrap_or_default(), &cmd.stdin);
            }
        }
        _ => {}
    }
}
