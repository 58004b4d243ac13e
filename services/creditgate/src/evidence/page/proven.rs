//! What a page says of its own proof: by which lists and book, where it was recorded, and how anybody checks that.

use creditgate_runtime::hex::hex;

use super::super::html::Html;
use super::super::parts::Parts;
use super::super::{CHAIN, CHECK_POINT, RECORD, RECORD_KEYS};
use crate::identity::moment;

/// What was known, and by which rules was decided.
pub fn versions(parts: &Parts) -> Html {
    let verdict = &parts.verdict;
    let title = parts.book.title();
    let facts = Html::facts([
        (
            "名单版本",
            "list version",
            Html::code(&verdict.list_version),
        ),
        (
            "名单最早确认时间",
            "lists as of",
            Html::value(&moment(&verdict.lists_as_of)),
        ),
        (
            "措施清单",
            "book",
            Html::lines([
                Html::both(&title.zh, &title.en),
                Html::value(parts.book.name()),
            ]),
        ),
        (
            "清单版本",
            "book version",
            Html::code(&verdict.book_version),
        ),
        (
            "判定程序",
            "deciding program",
            Html::value(&verdict.engine_version),
        ),
        (
            "结论摘要（SHA-256）",
            "digest of the verdict",
            Html::code(&verdict.verdict_digest),
        ),
        (
            "重新判定",
            "decided again",
            match parts.about.decided_again.is_same() {
                true => Html::both("结果一致", "the same"),
                false => Html::both(
                    "结果不一致，使用前须查明原因",
                    "ANOTHER result: ask why before use",
                )
                .within("strong"),
            },
        ),
    ]);
    Html::section("依据的版本", "Versions", facts)
}

/// Where it was recorded, and what covers that.
pub fn proof(parts: &Parts) -> Html {
    let record = &parts.record;
    let receipt = record.receipt();
    let mut rows = vec![
        ("回执", "receipt", Html::code(&receipt.to_string())),
        (
            "记录序号",
            "number of the record",
            Html::value(&record.sequence.to_string()),
        ),
        (
            "记录位置",
            "position in the journal",
            Html::value(&record.position.to_string()),
        ),
        (
            "记录哈希（SHA-256）",
            "hash of the record",
            Html::code(&hex(&receipt.hash)),
        ),
        (
            "前一记录哈希",
            "hash of the record before it",
            Html::code(&hex(&record.previous_hash)),
        ),
    ];
    match &parts.proof {
        Some(proof) => rows.extend([
            (
                "签名检查点",
                "signed check point",
                Html::value(&format!("{} · {}", proof.point.number, proof.point.at)),
            ),
            (
                "签名密钥编号",
                "id of the key",
                Html::code(&proof.point.key_id),
            ),
            (
                "其间记录数",
                "records in between",
                Html::value(&proof.between.to_string()),
            ),
        ]),
        None => {
            let why = parts.about.uncovered;
            rows.push((
                "签名检查点",
                "signed check point",
                Html::both("无", "NONE")
                    .within("strong")
                    .and(Html::fixed(" "))
                    .and(
                        why.map(|why| Html::both(why.told_zh(), why.told()))
                            .unwrap_or_default(),
                    ),
            ));
        }
    }
    let about = &parts.about;
    rows.extend([
        ("制作时间", "made at", Html::value(&about.made_at)),
        ("制作程序", "made by", Html::value(&about.made_by)),
        (
            "制作时所查记录",
            "records looked at",
            Html::value(&format!("1–{}", about.verdicts_up_to)),
        ),
        (
            "其他答复",
            "further answers of this event",
            match about.further_answers {
                0 => Html::default(),
                many => Html::value(&many.to_string()),
            },
        ),
    ]);
    Html::section("存证", "Record", Html::facts(rows))
}

/// How to verify it, with this program and without.
pub fn how(parts: &Parts) -> Html {
    let with = Html::paragraph(
        "核验整个证据包（公钥须由审计方自行保管，不得使用随包提供的公钥）：",
        "Verify the whole package; the public key must be the auditors' own, not one that came with the package:",
    )
    .and(
        Html::fixed("creditgate journal verify-evidence DIR --key journal-key.pub.pem")
            .within("code")
            .within("p"),
    );
    let digests = Html::paragraph("核对各文件摘要：", "Check the digests of the files:").and(
        Html::fixed("sha256sum -c SHA256SUMS")
            .within("code")
            .within("p"),
    );
    let hash = Html::paragraph(
        "原始记录文件的 SHA-256 即上列记录哈希，也即回执中冒号之后的部分：",
        "The SHA-256 of the raw record is its hash above, which is what follows the colon in the receipt:",
    )
    .and(
        Html::fixed("sha256sum ")
            .and(Html::fixed(RECORD))
            .within("code")
            .within("p"),
    );
    let chain = match &parts.proof {
        Some(_) => Html::paragraph(
            "其后的记录首尾相接（每条以四字节小端长度开头，第64至95字节为前一记录的 SHA-256），最后一条的 SHA-256 即签名检查点\
             所载 verdicts 的哈希；签名为 Ed25519。",
            "The records behind it lie one after the other, each beginning with its length in four bytes, little-endian, with \
             the SHA-256 of the record before it in bytes 64 to 95; the SHA-256 of the last one is the hash of `verdicts` in the \
             check point, which is signed with Ed25519.",
        )
        .and(
            Html::fixed(CHAIN)
                .and(Html::fixed(" → "))
                .and(Html::fixed(CHECK_POINT))
                .within("code")
                .within("p"),
        ),
        None => Html::paragraph(
            "未附签名检查点：本包不能单独证明该记录确已存入日志，须在数据目录上核对回执：",
            "There is no signed check point: the package alone does not prove that the record was kept in the journal. Hold \
             the receipt against the data directory:",
        )
        .and(
            Html::fixed("creditgate journal verify --data-dir DIR --receipt ")
                .and(Html::text(&parts.record.receipt().to_string()))
                .within("code")
                .within("p"),
        ),
    };
    let sealed = match parts.record.key_id {
        0 => Html::default(),
        _ => Html::paragraph(
            "日志为加密存储，哈希与签名均针对密文。本包仅附所示各条记录各自的密钥，其间的其他记录仍为密文。",
            "The journal is sealed, and hashes and signature are over what is sealed. The package has the key of each record that \
             it shows; the others in it stay sealed.",
        )
        .and(
            Html::fixed(RECORD_KEYS)
                .within("code")
                .within("p"),
        ),
    };
    let unproven = Html::paragraph(
        "本包不能证明：所附名单记录在变更日志中的位置（须核验数据目录），以及制作之后发生的变更。",
        "Not proven by the package: that its entries stood so in the change log (verify the data directory), and what changed \
         after it was made.",
    );
    Html::section(
        "如何核验",
        "How to verify",
        with.and(digests)
            .and(hash)
            .and(chain)
            .and(sealed)
            .and(unproven),
    )
}
