"""One iteration of the authors' training (D step, G step, rho clip) and what it computes on the way."""
import torch
from torch.nn import functional as F

from ugatit import DISCRIMINATORS, GENERATORS, clip_rho

WEIGHTS = {"adv": 1, "cycle": 10, "identity": 10, "cam": 1000}


def mse_to(x, target):
    return F.mse_loss(x, torch.full_like(x, target))


def bce_to(x, target):
    return F.binary_cross_entropy_with_logits(x, torch.full_like(x, target))


def optimisers(nets, lr=1e-4, weight_decay=1e-4):
    """Two Adams: (of both generators, of the four discriminators)."""
    def adam(names):
        parameters = [p for name in names for p in nets[name].parameters()]
        return torch.optim.Adam(parameters, lr=lr, betas=(0.5, 0.999), weight_decay=weight_decay)
    return adam(GENERATORS), adam(DISCRIMINATORS)


def domain(name):
    return name[-1]


def discriminator_losses(nets, real, fake, log):
    """real, fake: {domain: image}. All four on the real picture, then all four on the fake one."""
    passes = {}
    for kind, images in (("real", real), ("fake", fake)):
        for name in DISCRIMINATORS:
            passes[name, kind] = nets[name](images[domain(name)])
            for key, value in zip(("logit", "cam_logit", "heatmap"), passes[name, kind]):
                log[f"D.{name}.{kind}.{key}"] = value
    total = 0
    for name in DISCRIMINATORS:
        for index, key in enumerate(("ad_loss", "cam_loss")):
            loss = mse_to(passes[name, "real"][index], 1) + mse_to(passes[name, "fake"][index], 0)
            log[f"D.{name}.{key}"] = loss
            total = total + WEIGHTS["adv"] * loss
    log["D.loss"] = total
    return total


def translate(nets, a, b):
    """{name: (image, cam logit, heatmap)} of the two translations."""
    return {"fake_A2B": nets["genA2B"](a), "fake_B2A": nets["genB2A"](b)}


def generator_losses(nets, a, b, passes, log):
    """passes: the two translations; cycles and identities are added here."""
    g_ab, g_ba = nets["genA2B"], nets["genB2A"]
    passes = dict(passes, fake_A2B2A=g_ba(passes["fake_A2B"][0]), fake_B2A2B=g_ab(passes["fake_B2A"][0]),
                  fake_A2A=g_ba(a), fake_B2B=g_ab(b))
    for name, (image, cam_logit, heatmap) in passes.items():
        log.update({f"G.{name}": image, f"G.{name}.cam_logit": cam_logit, f"G.{name}.heatmap": heatmap})
    total = 0
    for name in DISCRIMINATORS:
        logit, cam_logit, _ = nets[name](passes["fake_B2A" if domain(name) == "A" else "fake_A2B"][0])
        losses = {"ad_loss": mse_to(logit, 1), "cam_loss": mse_to(cam_logit, 1)}
        total = total + WEIGHTS["adv"] * (losses["ad_loss"] + losses["cam_loss"])
        log.update({f"G.{name}.logit": logit, f"G.{name}.cam_logit": cam_logit})
        log.update({f"G.{name}.{key}": loss for key, loss in losses.items()})
    parts = {
        "recon_A": (F.l1_loss(passes["fake_A2B2A"][0], a), "cycle"),
        "recon_B": (F.l1_loss(passes["fake_B2A2B"][0], b), "cycle"),
        "identity_A": (F.l1_loss(passes["fake_A2A"][0], a), "identity"),
        "identity_B": (F.l1_loss(passes["fake_B2B"][0], b), "identity"),
        "cam_A": (bce_to(passes["fake_B2A"][1], 1) + bce_to(passes["fake_A2A"][1], 0), "cam"),
        "cam_B": (bce_to(passes["fake_A2B"][1], 1) + bce_to(passes["fake_B2B"][1], 0), "cam"),
    }
    for name, (loss, weight) in parts.items():
        log[f"G.{name}"] = loss
        total = total + WEIGHTS[weight] * loss
    log["G.loss"] = total
    return total


def iterate(nets, optims, a, b, lean=False, observe=None):
    """One iteration; -> {name: tensor} of all losses, logits, maps and pictures.

    lean: the same numbers with less work: fakes detached in the D step and used again in the G
    step, no gradients of D's parameters in the G step. observe(phase, log) is called after
    backward and step of "D" and of "G", while the gradients are still there.
    """
    log, (optim_g, optim_d) = {}, optims
    optim_d.zero_grad()
    passes = translate(nets, a, b)
    fake = {"A": passes["fake_B2A"][0], "B": passes["fake_A2B"][0]}
    log.update({f"D.{name}": value[0] for name, value in passes.items()})
    if lean:
        fake = {key: image.detach() for key, image in fake.items()}
    discriminator_losses(nets, {"A": a, "B": b}, fake, log).backward()
    optim_d.step()
    if observe:
        observe("D", log)
    optim_g.zero_grad()
    for name in DISCRIMINATORS:
        nets[name].requires_grad_(not lean)
    generator_losses(nets, a, b, passes if lean else translate(nets, a, b), log).backward()
    for name in DISCRIMINATORS:
        nets[name].requires_grad_(True)
    optim_g.step()
    clip_rho(*(nets[name] for name in GENERATORS))
    if observe:
        observe("G", log)
    return {name: value.detach() for name, value in log.items()}


def learning_rates(iterations, lr0=1e-4, start=1):
    """Per step start..iterations, as the authors' loop computes them (start > 1: as its resume does)."""
    half, lr, rates = iterations // 2, lr0, []
    if start > half:
        lr -= lr0 / half * (start - half)
    elif start == 1 and half == 0:
        raise ZeroDivisionError("the authors' schedule divides by iterations // 2")
    for step in range(start, iterations + 1):
        if step > half:
            lr -= lr0 / half
        rates.append(lr)
    return rates
