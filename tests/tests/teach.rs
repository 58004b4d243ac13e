//! Every step of `measures/README.md`, done as it stands there: files written, commands run, answers compared.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails where it stands"
)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use creditgate_tests::{binary, free_port, root};

/// A fenced block of the text: its language, what stands after it, and its lines.
struct Block {
    line: usize,
    language: String,
    note: String,
    text: String,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = document.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(head) = line.strip_prefix("```") else {
            continue;
        };
        let (language, note) = head.split_once(' ').unwrap_or((head, ""));
        let inside: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .collect();
        blocks.push(Block {
            line: number + 1,
            language: language.to_owned(),
            note: note.to_owned(),
            text: inside.join("\n") + "\n",
        });
    }
    blocks
}

/// Where the reader of the text stands: the top of the tree, with the binary on the path.
struct Desk {
    dir: tempfile::TempDir,
    grpc: String,
    http: String,
    service: Option<Child>,
    answer: String,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(root().join("measures"), dir.path().join("measures")).unwrap();
        Self {
            dir,
            grpc: format!("127.0.0.1:{}", free_port()),
            http: format!("127.0.0.1:{}", free_port()),
            service: None,
            answer: String::new(),
        }
    }

    fn bash(&self, script: &str) -> Command {
        let tools = binary().parent().expect("the directory of the binary");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script])
            .current_dir(self.dir.path())
            .env("PATH", format!("{}:{path}", tools.display()))
            .env("CREDITGATE_GRPC_ADDR", &self.grpc)
            .env("CREDITGATE_HTTP_ADDR", &self.http)
            .env("CREDITGATE_SERVER", format!("http://{}", self.grpc));
        bash
    }

    fn run(&mut self, block: &Block, expected: i32) {
        let output = self.bash(&block.text).output().expect("bash runs");
        let told = [output.stdout, output.stderr].concat();
        self.answer = String::from_utf8_lossy(&told).into_owned();
        assert_eq!(
            output.status.code(),
            Some(expected),
            "line {}: {}\n{}",
            block.line,
            block.text,
            self.answer
        );
    }

    fn start(&mut self, block: &Block) {
        let script = format!("exec {}", block.text);
        let log = std::fs::File::create(self.dir.path().join("service.log")).unwrap();
        let child = self
            .bash(&script)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the service starts");
        self.service = Some(child);
        let since = Instant::now();
        while !self
            .bash("creditgate lists state")
            .output()
            .is_ok_and(|state| state.status.success())
        {
            let log = || std::fs::read_to_string(self.dir.path().join("service.log"));
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "the service is not ready: {}",
                log().unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn compare(&self, block: &Block) {
        for line in block.text.lines() {
            assert!(
                self.answer.contains(line),
                "line {}: `{line}` is not in\n{}",
                block.line,
                self.answer
            );
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(service) = &mut self.service {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}

#[test]
fn every_step_of_the_guide_for_editors_works() {
    let document = std::fs::read_to_string(root().join("measures/README.md")).unwrap();
    let mut desk = Desk::new();
    let mut steps = 0;
    for block in blocks(&document) {
        steps += 1;
        match (block.language.as_str(), block.note.as_str()) {
            ("sh", "") => desk.run(&block, 0),
            ("sh", "service") => desk.start(&block),
            ("sh", note) => {
                let code = note
                    .strip_prefix("exit=")
                    .and_then(|code| code.parse().ok());
                desk.run(&block, code.expect("`exit=` and a number"));
            }
            ("text", _) => desk.compare(&block),
            (_, note) => desk.write(note.strip_prefix("file=").expect("`file=`"), &block.text),
        }
    }
    assert!(steps >= 20, "the guide has its steps: {steps}");
}
