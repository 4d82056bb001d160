//! Tells the demo's story in the terminal's language.

use std::io::IsTerminal;

use super::stage::Stage;
use crate::locale::say;
use crate::output;

/// Prints each step once it was seen to happen.
pub(super) struct Narrator {
    step: u32,
    colour: bool,
}

impl Narrator {
    pub(super) fn new() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let narrator = Self { step: 0, colour };
        output::line(&narrator.bold(say(
            "鸿雁演示：从订阅到送达，全程真实 HTTP（微信为模拟环境，不会发给真实用户）",
            "Hongyan demo: from a tap to a delivered message over real HTTP (WeChat is simulated, nothing reaches real people)",
        )));
        narrator
    }

    /// A step that happened.
    pub(super) fn seen(&mut self, zh: &str, en: &str) {
        self.step += 1;
        output::line(&format!("{} {:>2}. {}", self.green("✓"), self.step, say(zh, en)));
    }

    /// What was seen of it.
    pub(super) fn detail(&self, text: &str) {
        output::line(&format!("      {}", self.dim(text)));
    }

    /// A step that did not happen.
    pub(super) fn failed(&self, error: &anyhow::Error) {
        output::line(&format!("{} {:>2}. {error:#}", self.paint("31", "✗"), self.step + 1));
    }

    /// The end of the story, and, unless everything is over with it, where to go on.
    pub(super) fn summary(&self, stage: &Stage, seen: bool, over: bool) {
        output::line("");
        if !seen {
            output::line(&self.bold(say(
                "演示没有完成：上面标 ✗ 的一步没有发生。",
                "The demo did not finish: the step marked ✗ did not happen.",
            )));
            return;
        }
        output::line(&self.bold(say(
            "完成：2 条已送达，1 条因次数用完被微信拒绝，账目与模拟微信的记录一致。",
            "Done: 2 delivered, 1 refused since its grant was spent; the books agree with the simulated WeChat's own records.",
        )));
        if over {
            return;
        }
        for (zh, en, url) in [
            ("模拟手机", "the phone", stage.phone()),
            ("控制台　", "the console", format!("{}/  ({})", stage.service_url, stage.sign_in())),
            ("接口文档", "the interface", format!("{}/docs", stage.service_url)),
        ] {
            output::line(&format!("  {}  {url}", say(zh, en)));
        }
        if stage.lan {
            output::line(&format!(
                "\n{}",
                say(
                    "用同一网络里的真实手机打开“模拟手机”的地址。网络里的任何人都能操作这台模拟微信，请只在可信的网络中使用 --lan。",
                    "Open the phone's address on a real phone in the same network. Anybody in it can play with this simulated WeChat: use --lan only where you trust the network.",
                )
            ));
        }
        output::line(&format!(
            "\n{}",
            say("再发一条试试（先在模拟手机上点“订阅”）：", "Send another (tap 订阅 on the phone first):")
        ));
        output::line(&self.dim(&stage.sample_call()));
        output::line(&format!("\n{}", say("按 Ctrl-C 结束。", "Ctrl-C ends it.")));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn green(&self, text: &str) -> String {
        self.paint("32", text)
    }
}
