"""The Spanish rule set of the demo agent, and phrases that show one awkward behaviour each."""

from sandbox.elevenlabs.steps import (
    ClientTool,
    Correct,
    Delay,
    EndCall,
    Guardrail,
    Later,
    RepeatLast,
    Rule,
    Say,
    ServerTool,
    SkipTurn,
    Step,
)

__all__ = ["RULES"]

_LONG = " ".join(
    f"{number}. Este es el punto número {number} de la explicación larga que me pediste." for number in range(1, 81)
)
_HUMAN = (
    r"\b(humano|persona real|una persona|con alguien|asesor[a]?|operador[a]?|agente humano|ejecutiv[oa]"
    r"|supervisor[a]?|human|agent|real person)\b"
)
_CALL = (
    r"de que (hablamos|habiamos hablado|trato|iba)|que (hablamos|dijimos|quedamos|acordamos)|en que quedamos"
    r"|\b(la|mi|nuestra|esa|ultima) llamada\b|\bllamaron\b|por telefono|resumen|\bwhat did we (talk|say)"
)
_APPOINTMENT = r"\b(la|mi|una) cita\b|a que hora|que dia|\bcuando (es|era|tengo|seria)|\bcita\b|\bturno\b"


def _rule(match: str, *steps: Step, needs: tuple[str, ...] = ()) -> Rule:
    return Rule(match=match, steps=list(steps), needs=list(needs))


def _say(text: str) -> Say:
    return Say(text=text)


def _escalate() -> ClientTool:
    params = {
        "reason": "El cliente pide hablar con una persona",
        "summary": "Último mensaje: «{{text}}». Llamada: {{summary|sin llamada previa}}",
        "priority": "high",
    }
    return ClientTool(name="escalate_to_human", params=params)


_AWKWARD = [
    _rule(r"prueba larga|respuesta larga", _say(_LONG)),
    _rule(r"prueba emoji", _say("¡Listo! 👩🏽‍⚕️🎉 Familia: 👨‍👩‍👧‍👦. عربي: مرحبا بكم. עברית: שלום. Fin ✅")),
    _rule(
        r"prueba markdown",
        _say("## Opciones\n\n* **Lunes** a las 10\n* _Martes_ a las 11\n\n[Más](https://example.com) y `código`"),
    ),
    _rule(r"prueba vacia", _say("")),
    _rule(r"prueba silencio", SkipTurn()),
    _rule(
        r"prueba correccion", _say("Tu cita es el lunes a las diez."), Correct(text="Tu cita es el martes a las diez.")
    ),
    _rule(r"prueba repetida", _say("Esto lo digo una sola vez."), RepeatLast()),
    _rule(r"prueba tarde", _say("Ahora vuelvo."), Later(ms=3_000, say="Ya estoy de vuelta.")),
    _rule(r"prueba bloqueo", Guardrail()),
    _rule(r"prueba colgar", _say("Hasta luego."), EndCall()),
    _rule(r"prueba lenta", Delay(ms=8_000), _say("Perdona la espera.")),
]

_TALK = [
    _rule(
        _HUMAN,
        _escalate(),
        _say("Claro{{first_comma}}, te paso con una persona de nuestro equipo. En breve te escribe por aquí."),
    ),
    _rule(
        _CALL,
        _say("En la llamada hablamos de esto: {{summary}}"),
        needs=("summary",),
    ),
    _rule(
        _CALL,
        _say("No me consta ninguna llamada reciente contigo. ¿Me cuentas de qué se trataba y te ayudo?"),
    ),
    _rule(
        r"(cambi|mover|reprogram|cancel|anul)\w*.*\bcita|\bcita.*(cambi|mover|reprogram|cancel|anul)",
        _say("Un momento, lo reviso."),
        ServerTool(name="get_appointment", ms=50),
        _say("Sobre tu cita tengo anotado: {{summary|nada todavía}} Dime qué día y a qué hora te viene mejor."),
    ),
    _rule(
        _APPOINTMENT,
        _say("Según lo que hablamos por teléfono: {{summary}} Si necesitas cambiarlo, dímelo y lo vemos."),
        needs=("summary",),
    ),
    _rule(_APPOINTMENT, _say("Todavía no tengo ninguna cita tuya anotada. ¿Qué día y a qué hora te vendría bien?")),
    _rule(
        r"como me llamo|mi nombre|sabes quien soy",
        _say("Te tengo registrado como {{customer_name}}."),
        needs=("customer_name",),
    ),
    _rule(r"como me llamo|mi nombre|sabes quien soy", _say("Todavía no me has dicho tu nombre. ¿Cómo te llamas?")),
    _rule(
        r"dije antes|te dije|hablabamos|mensaje anterior|antes por aqui",
        _say("Antes me escribiste: «{{before}}»."),
        needs=("before",),
    ),
    _rule(
        r"dije antes|te dije|hablabamos|mensaje anterior|antes por aqui",
        _say("De nuestra conversación por aquí recuerdo: {{history_lines}}"),
        needs=("history_lines",),
    ),
    _rule(
        r"\b(pedido|estado|seguimiento)\b",
        _say("Un momento, lo consulto."),
        ServerTool(name="get_order", ms=50),
        _say("Tu solicitud está en marcha y llega mañana por la tarde."),
    ),
    _rule(
        r"^\W*(hola|buen[oa]s|buen dia|hey|que tal|saludos|hi|hello)\b",
        _say("¡Hola, {{first_name}}! Soy Eva. Sigo al tanto de lo que hablamos por teléfono. ¿En qué te ayudo?"),
        needs=("first_name", "summary"),
    ),
    _rule(
        r"^\W*(hola|buen[oa]s|buen dia|hey|que tal|saludos|hi|hello)\b",
        _say("¡Hola, {{first_name}}! Soy Eva. ¿En qué te puedo ayudar?"),
        needs=("first_name",),
    ),
    _rule(
        r"^\W*(hola|buen[oa]s|buen dia|hey|que tal|saludos|hi|hello)\b",
        _say("¡Hola! Soy Eva. ¿En qué te puedo ayudar?"),
    ),
    _rule(
        r"precio|cuanto (cuesta|vale|sale)|costo|tarifa",
        _say("La primera consulta es gratuita y las siguientes cuestan 35 €. ¿Quieres que te reserve una?"),
    ),
    _rule(
        r"donde (esta|estan|queda)|direccion|ubicacion|como llego",
        _say("Estamos en la calle Mayor 12, planta baja, a dos minutos del metro."),
    ),
    _rule(
        r"horario|abren|abierto|cierran",
        _say("Abrimos de lunes a viernes de 9:00 a 19:00 y los sábados de 10:00 a 14:00."),
    ),
    _rule(r"\b(gracias|mil gracias|thank)\b", _say("¡De nada{{first_comma}}! Si te surge algo más, aquí estoy.")),
    _rule(r"\b(adios|hasta luego|chao|nos vemos|bye)\b", _say("¡Hasta pronto{{first_comma}}! Que tengas un buen día.")),
    _rule(r"^\W*(si|vale|ok|okay|perfecto|de acuerdo|claro|dale)\W*$", _say("Perfecto, lo dejo anotado. ¿Algo más?")),
    _rule(r"^\W*no\W*$", _say("De acuerdo. Si cambias de idea, escríbeme.")),
    _rule(r"^\s*$", SkipTurn()),
    _rule(
        r"\?\s*$",
        _say("No tengo ese dato a mano. Puedo mirarlo o pasarte con una persona del equipo: ¿qué prefieres?"),
    ),
    _rule(r"", _say("Entendido{{first_comma}}: «{{text}}». Lo tengo en cuenta. ¿Quieres que haga algo más con eso?")),
]

RULES: list[Rule] = [*_AWKWARD, *_TALK]
