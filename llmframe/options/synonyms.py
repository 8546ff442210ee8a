"""What other tools call our options: the answer to a call that uses their names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from llmframe.options.settings import FIRST, OPTIONS

NEAR = 0.75  # how alike two names are, from 0 to 1, so that one may be a slip for the other

# What to write here: the names, lower case and without underscores.
_CURES = {
    'give the text to ask about first: df.llm.tag("text", fields)': (
        "column columns col cols textcolumn textcol textcolumns inputcolumn inputcol inputcolumns "
        "inputs text texts content data documents sentences on"
    ),
    "df.llm.tag already has its frame, and lf.tag takes it first": "df dataframe frame table",
    'give what to ask for second: df.llm.tag("text", {"intent": ["refund", "other"]})': (
        "labels label categories category classes class classnames choices options tags enum field "
        "schema jsonschema outputschema responseschema outputs output outputfields outputcolumns "
        "outputtype responsemodel responseformat outputformat modelclass pydanticmodel target "
        "targets candidatelabels questions question taxonomy returntype dtype resulttype"
    ),
    'put descriptions beside their labels: {"mood": {"good": "will come again", ...}}': (
        "description descriptions labeldescriptions fielddescriptions definitions"
    ),
    "for several labels a row give list[Literal['a', 'b']] as the field": "multilabel multi",
    'write instructions="..."': (
        "prompt prompts systemprompt system systemmessage userprompt prompttemplate template task "
        "taskdescription guidelines guideline instruction context role message messages language"
    ),
    "write examples=, a frame or a list of (text, values)": (
        "example fewshot fewshots fewshotexamples shots demos demonstrations gold golden"
    ),
    "write concurrency= for how many requests at the same time": (
        "maxworkers nworkers numworkers njobs jobs threads nthreads numthreads maxthreads "
        "processes numproc nproc parallel parallelism maxparallel maxconcurrency concurrent "
        "maxconcurrent concurrentrequests maxconcurrentrequests numconcurrent semaphore poolsize"
    ),
    "rows are asked one by one, so write concurrency= for how many at the same time": (
        "batchsize batch batches chunksize chunk chunks numbatches rowsperrequest"
    ),
    "write max_attempts= for requests for one row, the first included": (
        "retries maxretries retry numretries nretries attempts tries maxtries retrycount backoff"
    ),
    "write timeout= (seconds for one request) or deadline= (seconds for one row)": (
        "requesttimeout maxtime timelimit maxwait timeouts"
    ),
    "write rpm= for requests a minute": (
        "ratelimit requestsperminute rpmlimit maxrpm rps qps rate requestspersecond sleep delay "
        "pause wait"
    ),
    "write tpm= for tokens a minute": "tokensperminute tpmlimit maxtpm",
    "write temperature=": "temp t randomness",
    "write seed=": "randomstate randomseed rng",
    "write max_output_tokens= for the tokens of the longest answer": (
        "maxcompletiontokens maxnewtokens maxoutput maxlength maxresponsetokens numpredict "
        "npredict maxtokenstosample maxtokensperanswer"
    ),
    'write max_input_tokens= and on_long="truncate"': (
        "truncate truncation maxchars maxcharacters maxtextlength maxcontext contextlength"
    ),
    'write extra_body={"<name>": ...} for a parameter of the provider': (
        "topp topk minp frequencypenalty presencepenalty repetitionpenalty stop logitbias "
        "reasoningeffort reasoning thinking effort extraparams modelkwargs kwargs params "
        "generationconfig user metadata n verbosity"
    ),
    "write client=AsyncOpenAI(...), which takes it": (
        "headers defaultheaders extraheaders proxy proxies verify httpclient organization org "
        "project apiversion session"
    ),
    "write evidence=True": (
        "quote quotes citations citation cite highlight span spans rationale justification "
        "grounding grounded sourcequote"
    ),
    'write votes=3 or votes="2+1"': (
        "nvotes numvotes vote voting selfconsistency consistency agreement ensemble repeats "
        "repeat nsamples numsamples majority majorityvote"
    ),
    'write other="other"': (
        "otherlabel addother withother fallback fallbacklabel catchall default defaultlabel "
        "unknown unknownlabel noneofthese"
    ),
    "write abstain=True": (
        "abstention allowabstain unsure allowunsure allowunknown allownone notsure undecided"
    ),
    'write confidence="logprob"': (
        "logprobs toplogprobs returnconfidence probabilities probability scores returnscores "
        "certainty withconfidence"
    ),
    "write model=": (
        "modelname modelid llm engine deployment deploymentname deploymentid azuredeployment lm"
    ),
    'write explode="indicator" for a column for each label': (
        "onehot onehotencode dummies getdummies indicator indicators binarize multihot"
    ),
    "write flatten=True": "normalize jsonnormalize unnest expand unpack flat",
    "write where=, a mask or a query such as 'stars < 3'": (
        "filter rows subset mask query condition"
    ),
    "write provider=": "backend vendor service platform apitype",
    "write service_tier=": "tier processingtier priority flex",
    "write base_url=": (
        "url apibase apiurl endpoint host openaiapibase openaibaseurl server address azureendpoint"
    ),
    "write api_key=": "key openaiapikey token apitoken secret auth credentials password",
    "write max_cost=": (
        "budget costlimit maxprice maxspend maxbudget spendlimit cost limitcost maxusd usd dollars"
    ),
    "write prices=": "price pricing costpertoken inputcost",
    "write checkpoint= for where answers are saved, and reuse=False to ask again": (
        "cache usecache cachedir cachepath cachefile savepath save saveto outputpath outputfile "
        "outfile checkpointpath checkpointdir resume resumefrom restart refresh force nocache path"
    ),
    "write id= for the column with each row's own name": "idcolumn idcol keycolumn index rowid",
    "write into= (one field) or name the fields in a dict; prefix= goes before every column": (
        "outputcolumn outputcol outcol newcolumn newcol targetcolumn resultcolumn columnname name "
        "suffix resultcol labelcolumn"
    ),
    'write progress="auto" or False': (
        "verbose showprogress progressbar tqdm usetqdm disabletqdm disable quiet silent display "
        "pbar bar"
    ),
    'write on_error="keep" or "raise"': (
        "errors onfail onfailure raiseonerror ignoreerrors failfast skiperrors error strict "
        "raiseerrors"
    ),
    "write overwrite=True": "replace existok forceoverwrite update",
    "write redact=, a function of one text": (
        "anonymize anonymise maskpii pii mask preprocess preprocessor cleaner transform sanitize"
    ),
    "leave it out: a new frame is returned, df = df.llm.tag(...)": "inplace copy",
    "leave it out, and use df.llm.start(...) or await df.llm.atag(...)": (
        "async asynchronous background blocking isasync useasync"
    ),
    "leave it out: answers are always checked against fields": (
        "jsonmode json structuredoutput structured validate validation guided tools functions"
    ),
    "leave it out: answers are saved as they come": "stream streaming",
    "choose the rows first: df.head(20).llm.tag(...), df[df[...] > 0].llm.tag(...)": (
        "limit head nrows numrows maxrows sample samplesize samples first"
    ),
}
_CURE_OF = {name: cure for cure, names in _CURES.items() for name in names.split()}


def unknown_options(names: Iterable[str]) -> str:
    """The message for options that do not exist; "" if there is none among these names."""
    return "; ".join(_unknown(name) for name in names if name not in OPTIONS)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, OPTIONS, n=3, cutoff=NEAR)
    cure = _CURE_OF.get(name.lower().replace("_", ""))
    if cure is None and near:
        cure = f"did you mean {' or '.join(near)}?"
    most = ", ".join(FIRST)
    cure = cure or f"the most used are {most}, and help(df.llm.tag) explains all"
    return f"there is no option {name!r}; {cure}"
