"""What models call things: the words for actions in the languages they slip into, and the keys of a decision."""

from __future__ import annotations

import re
import unicodedata

from arena.rules.words import ReplyAction

ENTER = "ENTER"  # opens a position; its direction stands under another key

_ACTIONS: dict[str, str] = {
    ReplyAction.LONG: """
        long|buy|go long|open long|enter long|long entry|buy long|long buy|buy to open|buy to enter|strong buy|
        kaufen|kauf|kaufe|long eröffnen|long gehen|
        comprar|compra|compre|largo|abrir largo|en largo|
        acheter|achat|achète|achetez|position longue|
        acquistare|acquista|comprare|lungo|
        compro|comprado|
        kopen|koop|köp|köpa|kup|kupuj|kupić|kupno|
        купить|покупка|покупать|покупай|лонг|купити|
        satın al|al|
        买入|买|買入|買|做多|开多|開多|多|
        買い|買う|ロング|購入|
        매수|롱|사기|
        mua|mua vào|beli|ซื้อ|खरीदें|खरीदो|شراء|اشتر|לקנות|קנה
    """,
    ReplyAction.SHORT: """
        short|sell|go short|open short|enter short|short entry|sell short|short sell|sell to open|sell to enter|
        strong sell|
        verkaufen|verkauf|verkaufe|leerverkauf|short eröffnen|short gehen|
        vender|venta|venda|vende|corto|abrir corto|en corto|
        vendre|vente|vendez|position courte|
        vendere|vendi|vendita|
        verkopen|sälj|sälja|sprzedaj|sprzedać|sprzedaż|
        продать|продажа|продавать|продавай|шорт|продати|
        sat|
        卖出|卖|賣出|賣|做空|开空|開空|空|
        売り|売る|ショート|売却|
        매도|숏|팔기|
        bán|bán ra|jual|ขาย|बेचें|بيع|לִמְכּוֹר|למכור
    """,
    ReplyAction.CLOSE: """
        close|exit|close position|exit position|close long|close short|exit long|exit short|close out|liquidate|
        sell to close|buy to close|flatten|
        schließen|schliessen|schließe|position schließen|aussteigen|
        cerrar|cierra|cerrar posición|salir|
        fermer|clôturer|cloturer|fermez|sortir|
        chiudere|chiudi|uscire|
        fechar|fecha|sair|encerrar|
        sluiten|stäng|stänga|zamknij|zamknąć|
        закрыть|закрой|закрытие|выйти|закрити|
        kapat|pozisyonu kapat|
        平仓|平倉|平|平多|平空|清仓|了结|
        決済|クローズ|手仕舞い|
        청산|종료|
        đóng|tutup|ปิด|बंद करें|إغلاق|اغلاق|לסגור
    """,
    ReplyAction.HOLD: """
        hold|wait|none|no action|do nothing|nothing|keep|stay|skip|pass|no trade|hold position|stay flat|no op|noop|neutral|
        maintain|observe|watch|
        halten|warten|abwarten|behalten|nichts|nichts tun|
        mantener|esperar|espera|mantén|nada|
        conserver|garder|attendre|tenir|attendez|
        mantenere|attendere|tenere|aspettare|
        manter|aguardar|segurar|
        houden|wachten|vänta|behåll|avvakta|trzymaj|trzymać|czekaj|czekać|
        держать|ждать|удерживать|ожидать|удержание|тримати|
        tut|bekle|
        持有|观望|觀望|等待|持仓|不操作|
        ホールド|様子見|保有|待機|
        보유|관망|대기|홀드|
        giữ|chờ|tahan|tunggu|ถือ|รอ|होल्ड|रुको|احتفاظ|انتظار|החזק|המתן
    """,
    ENTER: "open|enter|entry|open position|enter position|new position|eröffnen|abrir|ouvrir|aprire|открыть|开仓|開倉",
}

KEYS: dict[str, str] = {
    "action": "action signal operation recommendation decision tradeaction tradingaction decisiontype command aktion acción "
    "accion azione ação acao entscheidung действие 操作 动作 アクション 행동",
    "direction": "side direction positionside positiontype position type ordertype tradetype tradeside richtung dirección",
    "symbol": "symbol pair ticker coin asset market instrument token tradingpair tradingsymbol currencypair crypto symbole "
    "símbolo simbolo moneda münze handelspaar символ 交易对 币种 通貨 종목",
    "size": "size amount margin sizeusd sizeusdt sizeinusd sizeinusdt positionsize positionsizeusd positionsizeusdt "
    "amountusd amountusdt usdamount usdtamount usdsize marginusd marginusdt marginamount collateral investment stake größe "
    "groesse betrag einsatz tamaño monto cantidadusd taille montant размер сумма 金额 保证金 仓位大小",
    "quantity": "quantity qty units coins contracts baseamount basequantity amountbase amountincoin menge cantidad quantité "
    "quantità количество 数量 수량",
    "leverage": "leverage lev leveragex hebel apalancamiento levier leva alavancagem плечо 杠杆 レバレッジ 레버리지",
    "stop_loss": "stoploss sl stop stoplossprice stopprice slprice stoplosstarget stoplosslevel stoppreis 止损 止损价 "
    "損切り 손절 стоплосс",
    "take_profit": "takeprofit tp takeprofitprice takeprofittarget takeprofitlevel profittarget targetprice target tpprice "
    "gewinnmitnahme kursziel 止盈 止盈价 利確 익절 тейкпрофит",
    "confidence": "confidence conviction confidencescore confidencelevel probability certainty konfidenz confianza confiance "
    "уверенность 置信度 信心",
    "reasoning": "reasoning reason rationale justification explanation thesis why comment analysis thought thoughts note "
    "notes begründung begruendung grund razón razon razonamiento justificación raison raisonnement motivo motivação причина "
    "обоснование 理由 原因 근거 이유",
    "entry_price": "entryprice entry limitprice price entrypoint orderprice einstieg einstiegspreis",
    "share": "sizepercent sizepercentage sizepct percent percentage allocation allocationpercent positionsizepercent "
    "positionsizepct portfoliopercent riskpercent riskpct sizeratio weight",
}  # fmt: skip

LISTS = frozenset(
    "decisions actions trades orders signals recommendations response result results data output answer reply content "
    "tradingdecisions tradedecisions tradesignalargs finaldecision finalanswer final entscheidungen decisiones "
    "arguments args input json message body plan 决策".split()
)
"""Keys whose value holds decisions rather than being part of one."""

DETAILS = frozenset(
    "parameters params details args arguments order trade riskmanagement risk exits exitplan levels".split()
)
"""Keys of a decision whose value holds more of its keys."""

_SYMBOL_SEPARATOR = re.compile(r"[\W_]+")


def key_of(text: str) -> str:
    """A key without what its spellings differ in: ``stop_loss``, ``stopLoss`` and ``Stop-Loss`` are one."""
    return _SYMBOL_SEPARATOR.sub("", unicodedata.normalize("NFKC", text[:100]).casefold())


def action_word(text: str) -> str | None:
    """The ReplyAction that a word means, ENTER where it needs a direction, or None where it means none of these.

    "🟢 Open_Long!" is LONG: case, signs and spaces do not count. Words that leave a choice are not in the table.
    """
    plain = unicodedata.normalize("NFKC", text[:100]).casefold()
    return _WORDS.get(_SYMBOL_SEPARATOR.sub(" ", plain).strip()) if len(text) <= 60 else None


def _table() -> dict[str, str]:
    words: dict[str, str] = {}
    for action, names in _ACTIONS.items():
        for name in names.split("|"):
            word = _SYMBOL_SEPARATOR.sub(" ", unicodedata.normalize("NFKC", name).casefold()).strip()
            words[word] = str(action)
            words[word.replace(" ", "")] = str(action)
    return words


_WORDS = _table()
FIELD_OF_KEY = {key_of(spelling): name for name, spellings in KEYS.items() for spelling in spellings.split()}
