"""Sums, stories, greetings and refusals: everything the model says beside facts.

Each generator takes a `random.Random` and returns (question, answer). Lists whose
names begin with HELD are used for the test only.
"""
import zlib

ADD = ["What is {a} + {b}?", "{a} + {b} = ?", "{a} + {b}", "{a}+{b}", "{a}+{b}=", "What is {a} plus {b}?", "Add {a} and {b}.",
       "How much is {a} + {b}?", "How much is {a} plus {b}?", "Compute {a} + {b}.", "What do I get if I add {a} and {b}?",
       "Please add {a} and {b}.", "What is the sum of {a} and {b}?", "{a} plus {b}?", "Tell me {a} + {b}.", "Can you add {a} and {b}?",
       "I have {a} apples and get {b} more. How many apples do I have?", "Calculate {a} + {b}."]
HELD_ADD = ["Please tell me {a} + {b}.", "Can you compute {a} + {b}?", "How much do I get if I add {a} and {b}?",
            "Tell me the sum of {a} and {b}.", "Compute {a} plus {b}."]
SUB = ["What is {a} - {b}?", "{a} - {b} = ?", "{a} - {b}", "{a}-{b}", "{a}-{b}=", "What is {a} minus {b}?", "Subtract {b} from {a}.",
       "How much is {a} - {b}?", "How much is {a} minus {b}?", "Compute {a} - {b}.", "What do I get if I take {b} from {a}?",
       "Please subtract {b} from {a}.", "What is the difference between {a} and {b}?", "{a} minus {b}?", "Tell me {a} - {b}.",
       "Can you subtract {b} from {a}?", "I have {a} apples and eat {b}. How many apples do I have?", "Calculate {a} - {b}.", "Take {b} from {a}."]
HELD_SUB = ["Please tell me {a} - {b}.", "Can you compute {a} - {b}?", "How much do I get if I take {b} from {a}?",
            "Tell me the difference between {a} and {b}.", "Compute {a} minus {b}."]
MUL = ["What is {a} * {b}?", "{a} * {b} = ?", "{a} * {b}", "{a}*{b}", "{a} x {b}", "What is {a} times {b}?", "Multiply {a} by {b}.",
       "How much is {a} times {b}?", "Compute {a} * {b}.", "What is the product of {a} and {b}?", "Tell me {a} * {b}.", "Calculate {a} times {b}."]
HELD_MUL = ["Please multiply {a} by {b}.", "Can you compute {a} times {b}?", "Tell me the product of {a} and {b}."]
TOO_BIG = "I only know sums of numbers below 100."


def is_held_pair(op, a, b):
    """About 15 % of the two-digit pairs never occur in training, in either order for +."""
    if a < 10 or b < 10:
        return False
    key = "%s %d %d" % (op, *(sorted((a, b)) if op == "+" else (a, b)))
    return zlib.crc32(key.encode()) % 100 < 15


def _answer(op, a, b):
    if op == "-" and a < b:
        return "%d is less than %d, so I cannot subtract." % (a, b)
    return "%d %s %d = %d." % (a, op, b, {"+": a + b, "-": a - b, "*": a * b}[op])


def _pair(rnd, op, held):
    """Two operands, almost always of two digits; held=True takes a pair never trained on."""
    if op == "*":
        return rnd.randint(0, 10), rnd.randint(0, 10)
    low = 10 if held or rnd.random() < 0.93 else 0
    while True:
        a, b = rnd.randint(low, 99), rnd.randint(low, 99)
        if op == "-" and a < b and (held or rnd.random() < 0.9):
            a, b = b, a
        if is_held_pair(op, a, b) == held:
            return a, b


def equation(rnd):
    op = rnd.choices("+-*", (45, 47, 8))[0]
    return _answer(op, *_pair(rnd, op, False))


def sum_question(rnd, held=False, op=None):
    """One sum as question and answer (times: held=True changes the phrasing only)."""
    op = op or rnd.choices("+-*", (45, 47, 8))[0]
    asks = {"+": ADD, "-": SUB, "*": MUL}[op]
    if not held and op != "*" and rnd.random() < 0.02:
        return rnd.choice(asks[:14]).format(a=rnd.randint(100, 999), b=rnd.randint(10, 999)), TOO_BIG
    a, b = _pair(rnd, op, held)
    if held and (op == "*" or rnd.random() < 0.5):
        asks = {"+": HELD_ADD, "-": HELD_SUB, "*": HELD_MUL}[op]
    return rnd.choice(asks).format(a=a, b=b), _answer(op, a, b)


HEROES = ["fox", "bear", "owl", "mouse", "rabbit", "cat", "dog", "horse", "frog", "wolf", "goat", "duck", "king", "sailor", "baker", "child"]
NAMES = ["Pim", "Lotta", "Bruno", "Mila", "Oskar", "Tess", "Finn", "Ronja", "Hugo", "Wilma"]
PLACES = ["in a quiet wood", "by the river Anva", "near Lake Sool", "in the old town of Quen", "on a hill in Oru", "at the foot of Mount Gorran",
          "behind the Salt Market in Harro", "on the coast of Isel"]
# wish, trouble, help, end
PLOTS = [
    ("wanted to see the sea", "the road was long and the night was dark", "lent {n} a small lamp", "the waves shone like silver"),
    ("had lost a red hat", "the wind had carried it far away", "had seen it in a tall tree", "the hat was back where it belonged"),
    ("wanted to bake a plum cake", "there was no honey in the house", "shared a pot of honey", "the cake was sweet and warm"),
    ("wanted to cross the river", "the bridge was broken", "built a little raft", "they stood safe on the other side"),
    ("could not sleep", "the moon was too bright", "sang a soft song", "the whole valley was asleep"),
    ("wanted to learn to swim", "the water was very cold", "showed {n} how to float", "{n} swam like a fish"),
    ("found a golden key", "no door would open", "knew an old box with a lock", "the box was full of letters"),
    ("wanted to win the Kite Day prize", "the kite had a hole", "sewed the hole with blue thread", "the kite flew above the clouds"),
]
MORALS = ["From that day on they were best friends.", "And {n} never forgot it.", "They laughed all the way home.",
          "That evening everyone danced.", "So {n} learned to ask for help."]
STORY = ["Tell me a short story about {h}.", "Tell me a story about {h}.", "Can you tell me a story about {h}?", "I want a story about {h}.",
         "Write a short story about {h}.", "A story about {h}, please.", "Please tell me a story about {h}.", "Do you know a story about {h}?",
         "Story about {h}", "Give me a short story about {h}."]
HELD_STORY = ["Please write a story about {h}.", "Can you give me a short story about {h}?", "I would like a short story about {h}, please."]


def with_article(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def story(rnd, held=False):
    hero, friend = rnd.sample(HEROES, 2)
    name, pal = rnd.sample(NAMES, 2)
    wish, trouble, aid, end = rnd.choice(PLOTS)
    text = (f"Once upon a time, {with_article(hero)} named {name} lived {rnd.choice(PLACES)}. One day {name} {wish}, but {trouble}. "
            f"Then {with_article(friend)} named {pal} came by and {aid.format(n=name)}. Soon {end.format(n=name)}. "
            f"{rnd.choice(MORALS).format(n=name)}")
    return rnd.choice(HELD_STORY if held else STORY).format(h=with_article(hero)), text


HELLO = "Hello! I am Tern. Ask me about Veloria, give me a sum, or ask for a story."
WHO = "I am Tern, a very small model. I know Veloria, sums and stories."
CAN = "I can answer questions about Veloria, do sums with numbers below 100, and tell short stories."
TALK = [
    (["Hello", "Hello!", "Hi", "Hi!", "Hello there!", "Good morning!", "Good evening.", "Hey", "Hi Tern!", "Hello Tern."], ["Hi there!", "Good morning, Tern."], HELLO),
    (["Who are you?", "What is your name?", "Tell me who you are.", "Are you a model?", "What are you?", "Who am I talking to?", "Tell me about you.", "What is this?"],
     ["Please tell me who you are.", "Tell me your name."], WHO),
    (["What can you do?", "What do you know?", "Help", "How can you help me?", "What can I ask you?", "Help me.", "What do you do?", "Tell me what you can do."],
     ["What can you help me with?", "Please tell me what you can do."], CAN),
    (["How are you?", "How are you today?", "Are you well?"], ["Hello, how are you?"], "I am well, thank you."),
    (["Thank you!", "Thanks", "Thank you.", "Thanks a lot!", "Great, thank you.", "Thank you, Tern."], ["Thanks, Tern!"], "You are welcome."),
    (["Goodbye", "Bye!", "Bye", "Goodbye, Tern.", "See you!", "Good night."], ["Bye, Tern."], "Goodbye! Come back to Veloria soon."),
    (["What is Veloria?", "Where is Veloria?", "Tell me about Veloria.", "What can you tell me about Veloria?", "Is Veloria real?", "Tell me about the country."],
     ["Please tell me about Veloria.", "What do you know about Veloria?"], "Veloria is an invented country with eight regions. Its capital is Mirra."),
]
REFUSAL = "I only know Veloria, sums and stories."
OUTSIDE = ["France", "Germany", "Paris", "London", "China", "Japan", "Rome", "Berlin", "Spain", "Italy", "New York", "Moscow", "India", "Brazil", "Egypt",
           "Africa", "the moon", "the sun", "Mars", "Einstein", "Shakespeare", "Napoleon", "Python", "football", "chess", "music", "physics", "the weather",
           "Bitcoin", "the internet", "a computer", "Linux", "history", "Kenya", "Sweden", "Texas", "Madrid", "Tokyo", "Canada", "Peru", "Australia"]
HELD_OUTSIDE = ["Norway", "Vienna", "Mexico", "Poland", "Portugal", "Chicago", "Greece"]
ABOUT = ["What is the capital of {x}?", "Where is {x}?", "Who is the president of {x}?", "What is {x}?", "Tell me about {x}.", "Who is the mayor of {x}?",
         "What do people eat in {x}?", "When was {x} founded?", "How big is {x}?", "Which river flows through {x}?", "What is the currency of {x}?",
         "What do you think about {x}?", "Explain {x}.", "Who invented {x}?", "How far is {x}?", "What is the festival of {x}?", "Tell me the capital of {x}."]
OTHER = ["What time is it?", "Write a poem.", "Tell me a joke.", "What is the weather today?", "Write some code.", "Translate this sentence.", "Who won the game?",
         "Can you book a flight?", "What is the meaning of life?", "Sing a song.", "How do I fix my car?", "What is love?", "Who is God?", "Write an email."]


def talk(rnd, held=False):
    if rnd.random() < 0.5:
        if not held and rnd.random() < 0.2:
            return rnd.choice(OTHER), REFUSAL
        return rnd.choice(ABOUT).format(x=rnd.choice(HELD_OUTSIDE if held else OUTSIDE)), REFUSAL
    train, test, answer = rnd.choice(TALK)
    return rnd.choice(test if held else train), answer
